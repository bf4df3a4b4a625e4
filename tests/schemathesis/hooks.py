"""What the description can't say: that the tenant id of the path is that of the config in the body, that its audio files are URLs to
JavaScript, that a character may count twice, and that numbers and tenants are counted together."""

from urllib.parse import quote

import schemathesis


def narrow(value):
    """Replaces the characters that are two units in UTF-16, in which lengths are counted."""
    if isinstance(value, str):
        return "".join(character if ord(character) < 0x10000 else "x" for character in value)
    if isinstance(value, list):
        return [narrow(item) for item in value]
    if isinstance(value, dict):
        return {name: narrow(member) for name, member in value.items()}
    return value


@schemathesis.hook
def before_call(context, case, kwargs):
    """Makes a request good that the description allows and the operator would refuse, however good it is otherwise."""
    if case.meta is not None and case.meta.generation.mode.is_negative:
        return
    operation = case.operation.definition.raw.get("operationId")
    if isinstance(case.body, dict):
        case.body = narrow(case.body)
    if operation == "publishConfig" and isinstance(case.body, dict):
        tenant = case.body.get("tenantId")
        if isinstance(tenant, str) and tenant.strip() == tenant:
            case.path_parameters["tenantId"] = quote(tenant, safe="")
        profiles = case.body.get("transferProfiles")
        for part in [case.body.get("callForwarding"), *(profiles if isinstance(profiles, list) else [])]:
            if isinstance(part, dict) and isinstance(part.get("audioUrl"), str):
                part["audioUrl"] = "https://example.com/hold.wav"
    if operation == "inspect" and isinstance(case.query, dict):
        room = 1 if case.query.get("documents") else 100
        for name in ["did", "tenant"]:
            values = case.query.get(name)
            if isinstance(values, list):
                case.query[name] = values[:room]
                room -= len(case.query[name])
