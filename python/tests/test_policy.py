"""Policies: what is read, and that every fault is told."""

import pytest
import sluicegate

POLICY = {
    "pools": {"virginia": {"requests_per_minute": 60}},
    "endpoints": {"us-east-1": {"model": "claude", "region": "us-east-1", "pools": ["virginia"]}},
    "tenants": {"web": {}},
}


def test_a_policy_names_what_it_has():
    policy = sluicegate.Policy.parse(POLICY)
    assert (policy.models, policy.pools, policy.tenants) == (["claude"], ["virginia"], ["web"])
    [endpoint] = policy.endpoints
    assert (endpoint.name, endpoint.model, endpoint.target, endpoint.region) == ("us-east-1", 0, "claude", "us-east-1")
    assert (policy.model("claude"), policy.model("other"), policy.tenant("web")) == (0, None, 0)


def test_every_fault_is_listed_with_its_pointer():
    faulty = {"pools": {"a": {"tokens_per_minute": 0}}, "data": {"bedrock": {"x": 1}}}
    with pytest.raises(sluicegate.PolicyError) as caught:
        sluicegate.Policy.parse(faulty)
    pointers = [fault.pointer for fault in caught.value.faults]
    assert pointers == ["/pools/a/tokens_per_minute", "/endpoints", "/data/bedrock/x"]
    assert all(pointer in str(caught.value) for pointer in pointers)


def test_a_text_that_is_no_json_is_a_fault():
    with pytest.raises(sluicegate.PolicyError) as caught:
        sluicegate.Policy.from_json("{")
    assert [fault.code for fault in caught.value.faults] == ["not_json"]


def test_the_schema_describes_a_policy():
    assert "endpoints" in sluicegate.policy_schema()["properties"]
