-- Writes single keys as an older publisher did. A write to a key that a resource owns is rejected with the owner, in
-- the same call. It needs no epoch: it writes only keys that no leader owns.
--
-- KEYS  1  a hash: DID -> the tenant that owns it
--       2… each key that the call may write or read. Records of other tenants are accessed by their names.
-- ARGV  'put', tenant, config | 'replace', tenant, config, SHA-1 of the present config | 'map', did, tenant |
--       'unmap', did
-- Reply a list: {'done'} | {'done', 1 if the config was replaced, 0 if it is another by now} |
--       {'done', 1 if the tenant has a config, else 0} | {'done', tenant} | {'unmapped'} |
--       {'tenantManaged', owner} | {'didManaged', owner}

-- Returns the record that lists the DID. The hash of DIDs names its tenant even when the mapping was lost or points
-- elsewhere; when the hash has lost the DID, the mapping names it.
local function holder(did)
  for _, tenant in ipairs({ own('HGET', KEYS[1], did) or '', text(DID .. did, MAX_TENANT) or '' }) do
    local held = tenant ~= '' and fields_of(tenant)
    if held and string.find(' ' .. held.dids .. ' ', ' ' .. did .. ' ', 1, true) then return held end
  end
end

local operations = {
  put = function(tenant, config)
    local held = fields_of(tenant)
    if held then return { 'tenantManaged', held.owner } end
    redis.call('SET', CONFIG .. tenant, config)
    return { 'done' }
  end,
  replace = function(tenant, config, expected)
    local held = fields_of(tenant)
    if held then return { 'tenantManaged', held.owner } end
    -- Whole, since its SHA-1 is compared. MGET and not GET: a key of another type is read as absent.
    local present = redis.call('MGET', CONFIG .. tenant)[1]
    if not present or redis.sha1hex(present) ~= expected then return { 'done', 0 } end
    redis.call('SET', CONFIG .. tenant, config)
    return { 'done', 1 }
  end,
  map = function(did, tenant)
    local held = holder(did)
    if held then return { 'didManaged', held.owner } end
    held = fields_of(tenant)
    if held then return { 'tenantManaged', held.owner } end
    redis.call('SET', DID .. did, tenant)
    return { 'done', text(CONFIG .. tenant, 1) and 1 or 0 }
  end,
  unmap = function(did)
    local tenant = text(DID .. did, MAX_TENANT)
    if not tenant then return { 'unmapped' } end
    local held = holder(did)
    if held then return { 'didManaged', held.owner } end
    redis.call('DEL', DID .. did)
    return { 'done', tenant }
  end,
}

return operations[ARGV[1]](ARGV[2], ARGV[3], ARGV[4])
