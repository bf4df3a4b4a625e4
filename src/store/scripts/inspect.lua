-- Says of each tenant what its record is and whether Redis still holds what the record says. Writes nothing.
--
-- KEYS  1 the hash of numbers to the tenants that own them, then the record of each tenant
-- ARGV  one tenant id for each record
-- Answer  a list of {intact (1 or 0), cluster, owner, uid, generation, secret, dids, hash, sha1}, or {0} without a record

local FIELDS = { 'cluster', 'owner', 'uid', 'generation', 'secret', 'dids', 'hash', 'sha1' }
local DID, CONFIG, TENANTS = 'tenantmap:did:', 'tenantcfg:', 'runtime-operator:tenants:'

local function intact(tenant, record)
  -- MGET and not GET: a key of another type is read as not there.
  local config = redis.call('MGET', CONFIG .. tenant)[1]
  if not config or redis.sha1hex(config) ~= record[8] then return false end
  if redis.call('SISMEMBER', TENANTS .. record[1], tenant) == 0 then return false end
  for did in string.gmatch(record[6], '%S+') do
    if redis.call('MGET', DID .. did)[1] ~= tenant or redis.call('HGET', KEYS[1], did) ~= tenant then return false end
  end
  return true
end

local answers = {}
for i, tenant in ipairs(ARGV) do
  local record, answer, whole = redis.call('HMGET', KEYS[i + 1], unpack(FIELDS)), { 0 }, true
  for _, value in ipairs(record) do whole = whole and value end
  if whole then
    answer = { intact(tenant, record) and 1 or 0, unpack(record) }
  end
  answers[i] = answer
end
return answers
