//! Help and completions.

use crate::fixture::Fixture;

#[test]
fn help_lists_commands_examples_and_exit_codes() {
    let fixture = Fixture::new("help");
    let (code, out, _) = fixture.run(&["--help"]);
    assert_eq!(code, 0);
    for part in
        ["run tests/samples/prompts.jsonl -o answers.jsonl --local", "Exit codes:", "  130  interrupted", "serve-fake"]
    {
        assert!(out.contains(part), "{part}: {out}");
    }
    let (code, out, _) = fixture.run(&["run", "--help"]);
    assert_eq!(code, 0);
    for part in ["--max-in-flight", "\"modelOutput\"", "join them by recordId", "Memory: "] {
        assert!(out.contains(part), "{part}: {out}");
    }
}

#[test]
fn a_wrong_command_line_is_a_usage_error() {
    let fixture = Fixture::new("usage");
    for args in
        [&["run"][..], &["run", "a", "-o", "b"], &["fly"], &["run", "a", "-o", "b", "--local", "--max-in-flight", "0"]]
    {
        let (code, out, errors) = fixture.run(args);
        assert_eq!((code, out.as_str()), (2, ""), "{args:?}");
        assert!(errors.contains("--help"), "{errors}");
    }
}

#[test]
fn completions_know_the_flags() {
    let fixture = Fixture::new("completions");
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let (code, out, _) = fixture.run(&["completions", shell]);
        assert_eq!(code, 0);
        assert!(out.contains("max-in-flight") && out.contains("serve-fake"), "{shell}");
    }
}

#[test]
fn the_fake_says_how_to_reach_it_and_stops_by_itself() {
    let (code, out, errors) = Fixture::new("serve").run(&["serve-fake", "--for", "1"]);
    assert_eq!(code, 0, "{errors}");
    for part in ["export AWS_ENDPOINT_URL_BEDROCK_RUNTIME=http://127.0.0.1:", "export AWS_ACCESS_KEY_ID=", "us-west-2"]
    {
        assert!(out.contains(part), "{part}: {out}");
    }
    assert!(errors.contains("attempts"), "{errors}");
}

#[test]
fn a_faulty_fake_is_told_with_its_pointers() {
    let fixture = Fixture::new("serve-faulty");
    fixture.write("fake.yaml", "lanes: [{region: r, model: m, tokens_per_second: 0}]");
    let (code, _, errors) = fixture.run(&["serve-fake", "--config", "fake.yaml"]);
    assert_eq!(code, 3);
    assert!(errors.contains("fake.yaml: /lanes/0/tokens_per_second [zero]"), "{errors}");
}
