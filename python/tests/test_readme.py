"""The README's code is run as written, one block after the other, with a fake Bedrock as the endpoint."""

import pathlib
import re

import pytest
from conftest import MODEL, PROFILE, lane

README = pathlib.Path(__file__).parents[1] / "README.md"


def run(readme, fake, monkeypatch):
    """Runs its blocks, one after the other."""
    environment = {"ACCESS_KEY_ID": "x", "SECRET_ACCESS_KEY": "x", "ENDPOINT_URL_BEDROCK_RUNTIME": fake.url}
    for name, value in environment.items():
        monkeypatch.setenv("AWS_" + name, value)
    blocks = re.findall(r"^```python\n(.*?)^```", readme.read_text(), re.DOTALL | re.MULTILINE)
    names = {"__name__": "readme"}
    for block in blocks:
        exec(compile(block, str(readme), "exec"), names)
    return len(blocks)


def test_the_code_of_the_readme_runs_as_written(serve, monkeypatch, capsys):
    pytest.importorskip("boto3")
    pytest.importorskip("aiobotocore")
    fake = serve(lane("us-east-1", PROFILE), lane("us-west-2", PROFILE))
    assert run(README, fake, monkeypatch) >= 6
    printed = capsys.readouterr().out.split("\n")
    assert int(printed[0]) > 0
    assert printed[1:] == ["expired None", "20", "HELLO", ""]
    assert fake.attempts() == 22


def test_the_python_part_of_the_project_s_readme_runs_as_written(serve, monkeypatch):
    pytest.importorskip("boto3")
    fake = serve(lane("us-east-1", MODEL), lane("eu-west-1", MODEL))
    assert run(README.parents[1] / "README.md", fake, monkeypatch) == 1
    assert fake.attempts() == 1
