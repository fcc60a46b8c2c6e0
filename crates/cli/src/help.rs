//! The long help texts.

/// The command itself.
pub(crate) const TOP: &str = "\
Sends many prompts to Amazon Bedrock as fast as the quotas allow, with next to no refused request.

A policy file says which endpoints there are (Region and model) and which quotas they draw on. \
sluicegate then decides when, where and whether each request goes out.

Start here, without an AWS account:

  sluicegate run tests/samples/prompts.jsonl -o answers.jsonl --local

Then with your own policy:

  sluicegate policy check policy.yaml
  sluicegate run prompts.jsonl -o answers.jsonl --policy policy.yaml";

/// `completions`.
pub(crate) const COMPLETIONS: &str = "\
Print a completion script for a shell.

  sluicegate completions bash > ~/.local/share/bash-completion/completions/sluicegate
  sluicegate completions zsh > \"${fpath[1]}/_sluicegate\"
  sluicegate completions fish > ~/.config/fish/completions/sluicegate.fish";

/// `run`.
pub(crate) const RUN: &str = "\
Send every record of a JSONL file and write the answers, resumably.

Each input line is a record in Bedrock batch inference's own form:

  {\"recordId\": \"r1\", \"modelInput\": {\"messages\": [{\"role\": \"user\", \"content\": [{\"text\": \"Hi\"}]}]}}

and each output line repeats it with the answer, or with an error:

  {\"recordId\": \"r1\", \"modelInput\": {...}, \"modelOutput\": {...}}
  {\"recordId\": \"r1\", \"modelInput\": {...}, \"error\": {\"errorCode\": \"...\", \"errorMessage\": \"...\"}}

Answers come in the order in which they arrive: join them by recordId.

Run the same command again after any interruption (Ctrl-C, kill, full disk): records that are in the output \
are not sent again, none is lost. To send failed records once more, delete their lines from the output first.

With --state FILE, what the engine learns (limits in force, speed, endpoints that are down) and what it has sent in \
the last minutes outlive the process: the file is read at the start, if it is there, and replaced every 30 seconds and \
at the end. Runs one after the other share it; runs at the same time need one each.

A line may name its model with \"modelId\"; otherwise --model holds, otherwise the policy's only model.";

/// `run`, after the flags.
pub(crate) const RUN_AFTER: &str = "\
Examples:
  # try it without AWS
  sluicegate run prompts.jsonl -o answers.jsonl --local
  # on AWS, with the usual credential chain
  sluicegate run prompts.jsonl -o answers.jsonl --policy policy.yaml
  # several runs in a row that know of each other
  sluicegate run prompts.jsonl -o answers.jsonl --policy policy.yaml --state state.json
  # another endpoint, such as serve-fake or a VPC endpoint
  export AWS_ENDPOINT_URL_BEDROCK_RUNTIME=http://127.0.0.1:9000

Memory: a fingerprint of each recordId (16 bytes, with the set around it 18 to 36) and the records held at once: at \
most --max-in-flight of them and 64 MiB of text. Nothing else grows with the input.

`sluicegate --help` lists the exit codes.";

/// `policy schema`.
pub(crate) const SCHEMA: &str = "\
Print the JSON Schema of a policy, with every field and default.

Editors complete and check YAML by it:

  sluicegate policy schema > policy.schema.json
  # first line of policy.yaml: # yaml-language-server: $schema=policy.schema.json";

/// `serve-fake`.
pub(crate) const SERVE_FAKE: &str = "\
Start a fake Bedrock on this machine, for any AWS SDK.

It serves Converse, ConverseStream, InvokeModel, InvokeModelWithResponseStream and CountTokens for every Region on one \
loopback port, holds the quotas and answers words that mean nothing. It prints the environment variables that point an \
SDK at it.

  sluicegate serve-fake                        the built-in policy's Regions and quotas
  sluicegate serve-fake --policy policy.yaml   your policy's
  sluicegate serve-fake --config fake.json     with latencies, outages and error mixes of your choice";
