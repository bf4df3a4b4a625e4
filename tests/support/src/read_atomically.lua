-- Mapping and config of each DID at one instant: two reads of a DID that moves in between would show a violation where there
-- is none. For the reader of each test, and for the benchmark's.
local answer = {}
for i, did in ipairs(ARGV) do
  local tenant = redis.call('GET', 'tenantmap:did:' .. did)
  answer[i] = { tenant, tenant and redis.call('GET', 'tenantcfg:' .. tenant) }
end
return answer
