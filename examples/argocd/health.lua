-- The health of a RuntimeTenant in Argo CD. Put this text into the ConfigMap argocd-cm, under the key
-- resource.customizations.health.runtime.veralux.io_RuntimeTenant.
local health = { status = "Progressing", message = "not reconciled yet" }
local status = obj.status
if status == nil or status.conditions == nil then
  return health
end
if status.observedGeneration ~= obj.metadata.generation then
  health.message = "the status is about an earlier generation"
  return health
end
for _, condition in ipairs(status.conditions) do
  if condition.type == "Ready" then
    health.message = condition.reason .. ": " .. condition.message
    -- A suspended tenant is Ready: that is what was asked for. "Suspended" would hold up later sync waves.
    if condition.status == "True" then
      health.status = "Healthy"
    end
  end
end
for _, condition in ipairs(status.conditions) do
  if condition.type == "Stalled" and condition.status == "True" then
    health.status = "Degraded"
  end
end
return health
