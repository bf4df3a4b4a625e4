-- Returns each tenant's record, and whether the keys in Redis match it. Writes nothing, but that it removes an expiry
-- from the keys that all tenants share.
--
-- KEYS  1  a hash: DID -> the tenant that owns it
--       2… the record of each tenant
-- ARGV  the tenant id of each record
-- Reply {the optional commands that were denied, rows}: for each tenant {intact (1 or 0), the record's fields}, or {0}
--       without a record

local persisted = {}

local function persist_once(key)
  if not persisted[key] then
    persisted[key] = true
    persist(key)
  end
end

local function intact(tenant, fields)
  local indexed = own('SISMEMBER', TENANTS .. fields.cluster, tenant) == 1
  persist_once(TENANTS .. fields.cluster)
  if not indexed or expires(RECORD .. tenant) or expires(CONFIG .. tenant) then return false end
  if not is_recorded(text(CONFIG .. tenant, MAX_CONFIG), fields) then return false end
  for did in string.gmatch(fields.dids, '%S+') do
    if text(DID .. did, MAX_TENANT) ~= tenant or expires(DID .. did) then return false end
    if own('HGET', KEYS[1], did) ~= tenant then return false end
  end
  return true
end

persist_once(KEYS[1])
persist_once(EPOCH)
persist_once(EPOCHS)
local rows = {}
for i, tenant in ipairs(ARGV) do
  local fields, row = fields_of(tenant), { 0 }
  if fields then
    row[1] = intact(tenant, fields) and 1 or 0
    for _, name in ipairs(FIELDS) do row[#row + 1] = fields[name] end
  end
  rows[i] = row
end
-- Each optional command is tried, so that the reply is complete.
text(KEYS[1], 1)
expires(KEYS[1])
return { denied_commands(), rows }
