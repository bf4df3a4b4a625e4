-- Writes as the old publisher did, but for what a resource holds: that is refused, in the same step, with its owner.
-- It needs no epoch: what it may touch no leader owns, and what a leader owns it never touches.
--
-- KEYS  1 the hash of numbers to the tenants that own them, then every key that the call may write or read by its name;
--       records of other tenants are reached by their names
-- ARGV  'put', tenant, config | 'map', number, tenant | 'unmap', number
-- Answer  a list: {'done'} | {'done', 1 or 0: whether the tenant has a config} | {'done', tenant} | {'unmapped'} |
--       {'tenantManaged', owner} | {'didManaged', owner}

local DID, CONFIG, RECORD = 'tenantmap:did:', 'tenantcfg:', 'runtime-operator:tenant:'

-- MGET and not GET: a key of another type is read as not there.
local function get(key) return redis.call('MGET', key)[1] end

-- The owner and the numbers of a tenant that a resource holds, or nothing.
local function record(tenant)
  local fields = redis.call('HMGET', RECORD .. tenant, 'cluster', 'uid', 'generation', 'owner', 'dids')
  -- Not written by the publishing script: as good as none (it says the same).
  if (fields[1] or '') == '' or (fields[2] or '') == '' or not tonumber(fields[3] or '') then return nil end
  return { owner = fields[4] or '', dids = ' ' .. (fields[5] or '') .. ' ' }
end

-- The record that lists the number. The hash of numbers says which, even when the mapping was lost or points elsewhere;
-- when the hash lost it, the mapping does.
local function holder(did)
  for _, tenant in ipairs({ redis.call('HGET', KEYS[1], did) or '', get(DID .. did) or '' }) do
    local held = tenant ~= '' and record(tenant)
    if held and string.find(held.dids, ' ' .. did .. ' ', 1, true) then return held end
  end
end

local operations = {
  put = function(tenant, config)
    local held = record(tenant)
    if held then return { 'tenantManaged', held.owner } end
    redis.call('SET', CONFIG .. tenant, config)
    return { 'done' }
  end,
  map = function(did, tenant)
    local held = holder(did)
    if held then return { 'didManaged', held.owner } end
    held = record(tenant)
    if held then return { 'tenantManaged', held.owner } end
    redis.call('SET', DID .. did, tenant)
    return { 'done', get(CONFIG .. tenant) and 1 or 0 }
  end,
  unmap = function(did)
    local tenant = get(DID .. did)
    if not tenant or tenant == '' then return { 'unmapped' } end
    local held = holder(did)
    if held then return { 'didManaged', held.owner } end
    redis.call('DEL', DID .. did)
    return { 'done', tenant }
  end,
}

return operations[ARGV[1]](ARGV[2], ARGV[3])
