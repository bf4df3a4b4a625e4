-- Finds the changed keys that don't match the records of this cluster. The operator's own writes match, so they cause
-- no reconcile (Redis 7.0 reports a script's writes to the client that called it even with NOLOOP). Writes nothing.
--
-- KEYS  1  a hash: DID -> the tenant that owns it
-- ARGV  1  this cluster
--       2… the names of the changed keys
-- Reply a list with 1 for each key that drifted, else 0

local DID, CONFIG, RECORD = 'tenantmap:did:', 'tenantcfg:', 'runtime-operator:tenant:'
local cluster = ARGV[1]

local function did_as_recorded(did)
  local tenant = redis.call('HGET', KEYS[1], did)
  if not tenant or redis.call('MGET', DID .. did)[1] ~= tenant then return false end
  local record = redis.call('HMGET', RECORD .. tenant, 'cluster', 'dids')
  return record[1] == cluster and string.find(' ' .. (record[2] or '') .. ' ', ' ' .. did .. ' ', 1, true) ~= nil
end

local function config_as_recorded(tenant)
  local record = redis.call('HMGET', RECORD .. tenant, 'cluster', 'sha1')
  local config = record[1] == cluster and redis.call('MGET', CONFIG .. tenant)[1]
  return config and redis.sha1hex(config) == record[2]
end

local drifted = {}
for i = 2, #ARGV do
  local key, as_recorded = ARGV[i], false
  if string.sub(key, 1, #DID) == DID then
    as_recorded = did_as_recorded(string.sub(key, #DID + 1))
  elseif string.sub(key, 1, #CONFIG) == CONFIG then
    as_recorded = config_as_recorded(string.sub(key, #CONFIG + 1))
  end
  drifted[i - 1] = as_recorded and 0 or 1
end
return drifted
