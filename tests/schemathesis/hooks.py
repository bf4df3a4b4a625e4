"""What the description can't say: that the tenant id of the path is that of the config in the body."""

from urllib.parse import quote

import schemathesis


@schemathesis.hook
def before_call(context, case, kwargs):
    """A config that is sent to another tenant's path would be refused, however good it is."""
    if case.operation.definition.raw.get("operationId") == "publishConfig" and isinstance(case.body, dict):
        tenant = case.body.get("tenantId")
        positive = case.meta is None or not case.meta.generation.mode.is_negative
        if positive and isinstance(tenant, str) and tenant.strip() == tenant:
            case.path_parameters["tenantId"] = quote(tenant, safe="")
