-- Finds the changed keys that don't match the records of this cluster. The operator's own writes match, so they cause
-- no reconcile (Redis 7.0 reports a script's writes to the client that called it even with NOLOOP). Writes nothing.
--
-- KEYS  1  a hash: DID -> the tenant that owns it
-- ARGV  1  this cluster
--       2… the names of the changed keys
-- Reply a list with 1 for each key that drifted, else 0

local cluster = ARGV[1]

local function did_as_recorded(did)
  local tenant = own('HGET', KEYS[1], did)
  if not tenant or text(DID .. did, MAX_TENANT) ~= tenant or expires(DID .. did) then return false end
  local fields = fields_of(tenant)
  return fields and fields.cluster == cluster and string.find(' ' .. fields.dids .. ' ', ' ' .. did .. ' ', 1, true)
end

local function config_as_recorded(tenant)
  local fields = fields_of(tenant)
  if not fields or fields.cluster ~= cluster or expires(CONFIG .. tenant) then return false end
  return is_recorded(text(CONFIG .. tenant, MAX_CONFIG), fields)
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
