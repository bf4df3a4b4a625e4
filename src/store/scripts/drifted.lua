-- Says which of the keys that somebody wrote are not as the records of this cluster have them. What this operator wrote
-- itself is, so that its own writes cause no second look (Redis 7.0 tells a script's writes to the client that ran it
-- even with NOLOOP). Writes nothing.
--
-- KEYS  1 the hash of numbers to the tenants that own them
-- ARGV  1 this cluster   2… the names of the keys
-- Answer  a list of 1 or 0 for each key: whether it needs a look

local DID, CONFIG, RECORD = 'tenantmap:did:', 'tenantcfg:', 'runtime-operator:tenant:'
local cluster = ARGV[1]

local function number_as_recorded(did)
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

local answers = {}
for i = 2, #ARGV do
  local key, as_recorded = ARGV[i], false
  if string.sub(key, 1, #DID) == DID then
    as_recorded = number_as_recorded(string.sub(key, #DID + 1))
  elseif string.sub(key, 1, #CONFIG) == CONFIG then
    as_recorded = config_as_recorded(string.sub(key, #CONFIG + 1))
  end
  answers[i - 1] = as_recorded and 0 or 1
end
return answers
