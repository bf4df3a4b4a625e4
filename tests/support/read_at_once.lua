-- Mapping and config of each number, as they are at one instant: a number that moves between two reads looks broken and is
-- not. For the reader beside each test, and for the benchmark's.
local answer = {}
for i, did in ipairs(ARGV) do
  local tenant = redis.call('GET', 'tenantmap:did:' .. did)
  answer[i] = { tenant, tenant and redis.call('GET', 'tenantcfg:' .. tenant) }
end
return answer
