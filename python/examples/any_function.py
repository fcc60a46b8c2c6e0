"""Any other client: a function behind a gate, as a decorator, as a `with` statement, and as the loop that articles show."""

import sluicegate

gate = sluicegate.Gate(
    {
        "pools": {"openai": {"requests_per_minute": 500, "tokens_per_minute": 200_000, "concurrency": 20}},
        "endpoints": {"openai": {"model": "gpt", "pools": ["openai"]}},
    }
)


class Answer:
    """What a client would return."""

    text, total_tokens = "HELLO", 12


def create(prompt):
    """Stands for the call of a client; what it raises is read by its HTTP status."""
    return Answer()


@gate.limit(model="gpt", cost=lambda prompt: len(prompt) // 4 + 100, settle=lambda answer: answer.total_tokens)
def complete(prompt):
    return create(prompt)


print(complete("hello").text)

with gate.permit(model="gpt", cost=200) as permit:
    permit.settle(create("hello").total_tokens)

for attempt in sluicegate.retrying(gate):
    with attempt:
        print(create("hello").text)
