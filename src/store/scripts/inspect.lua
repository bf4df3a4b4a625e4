-- Returns each tenant's record, and whether the keys in Redis match it. Writes nothing.
--
-- KEYS  1  a hash: DID -> the tenant that owns it
--       2… the record of each tenant
-- ARGV  the tenant id of each record
-- Reply a list of {intact (1 or 0), cluster, owner, uid, generation, secret, dids, hash, sha1}, or {0} without a record

local FIELDS = { 'cluster', 'owner', 'uid', 'generation', 'secret', 'dids', 'hash', 'sha1' }
local DID, CONFIG, TENANTS = 'tenantmap:did:', 'tenantcfg:', 'runtime-operator:tenants:'

local function intact(tenant, record)
  -- MGET and not GET: a key of another type is read as absent.
  local config = redis.call('MGET', CONFIG .. tenant)[1]
  if not config or redis.sha1hex(config) ~= record[8] then return false end
  if redis.call('SISMEMBER', TENANTS .. record[1], tenant) == 0 then return false end
  for did in string.gmatch(record[6], '%S+') do
    if redis.call('MGET', DID .. did)[1] ~= tenant or redis.call('HGET', KEYS[1], did) ~= tenant then return false end
  end
  return true
end

local rows = {}
for i, tenant in ipairs(ARGV) do
  local record, row, complete = redis.call('HMGET', KEYS[i + 1], unpack(FIELDS)), { 0 }, true
  for _, value in ipairs(record) do complete = complete and value end
  if complete then
    row = { intact(tenant, record) and 1 or 0, unpack(record) }
  end
  rows[i] = row
end
return rows
