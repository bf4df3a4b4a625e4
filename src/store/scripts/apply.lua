-- Publishes and removes tenants: all operations of a call, or none.
--
-- First it decides about each operation, against Redis as the earlier operations of the call would leave it. If none is
-- rejected, it then writes what differs. If nothing differs, nothing is written.
--
-- KEYS  1  the epoch: a counter
--       2  a hash: writer -> `<epoch>/<process id>`, the epoch that it acquired last
--       3  a hash: DID -> the tenant that owns it
--       4  the set of this cluster's tenants
--       5… for each operation: its record, its config and its DIDs' mappings, so that Redis' ACL denies the call
--          before anything is written. Records, mappings and sets of other tenants are accessed by their names.
-- ARGV  1  the caller's epoch, as `<epoch>/<process id>`
--       2  the plan, JSON: {writer, cluster, operations: [operation]}, an operation being
--            {op="publish", tenant, owner, uid, generation, secret, hash, sha1, dids, previouslyListed,
--             yieldingOwners = {uid: generation, "" for any}, takeOver} or
--            {op="remove", tenant, uid, previouslyListed, retain}
--       3… one config for each operation, "" for a removal
-- Reply JSON, without empty lists: {fenced: true, current?} or {results: [result]}, a result being
--            {is="unchanged"|"recorded"|"notOwned"|"aborted"},
--            {is="published", adopted, takenOver: [{did?, from}], removed: [did]},
--            {is="removed", keys} or
--            {is="rejected", why, cluster?, uid?, owner?, generation?, dids?, mapped: [{did, tenant}]?}

local plan = cjson.decode(ARGV[2])

-- The current epoch is the one that this writer acquired last, while the counter is the highest acquired epoch: a
-- counter that was lost, set back or incremented by another client fences every writer until each has acquired a new
-- epoch. Writers of other clusters, which write to keys of their own, don't fence this one.
local current, highest = redis.call('GET', KEYS[1]), 0
for _, acquired in ipairs(redis.call('HVALS', KEYS[2])) do
  highest = math.max(highest, tonumber(string.match(acquired, '^%d+')) or 0)
end
if redis.call('HGET', KEYS[2], plan.writer) ~= ARGV[1] or tonumber(current) ~= highest then
  return cjson.encode({ fenced = true, current = current or nil })
end

local DID, CONFIG = 'tenantmap:did:', 'tenantcfg:'
local RECORD, TENANTS = 'runtime-operator:tenant:', 'runtime-operator:tenants:'
local FIELDS = { 'cluster', 'owner', 'uid', 'generation', 'secret', 'dids', 'hash', 'sha1' }
local dids_key, tenants_key = KEYS[3], KEYS[4]
local cluster = plan.cluster

-- Redis before the call, and after the operations so far. Each cell is read once, on first use; `false` means "absent".
local was = { config = {}, mapping = {}, owner = {}, record = {}, member = {} }
local now = { config = {}, mapping = {}, owner = {}, record = {}, member = {} }
-- Set when the current operation changes anything, and when it changes a key that the runtime reads.
local changed, visibly

local function to_set(list)
  local set = {}
  for _, item in ipairs(list) do set[item] = true end
  return set
end

-- Completes a record: its fields and, as `list` and `set`, its DIDs.
local function new_record(fields, list)
  fields.list, fields.set, fields.dids = list, to_set(list), table.concat(list, ' ')
  return fields
end

local read = {
  -- MGET and not GET: a key of another type is read as absent, and overwritten.
  config = function(tenant) return redis.call('MGET', CONFIG .. tenant)[1] end,
  mapping = function(did)
    local tenant = redis.call('MGET', DID .. did)[1]
    return tenant ~= '' and tenant
  end,
  owner = function(did) return redis.call('HGET', dids_key, did) end,
  member = function(tenant) return redis.call('SISMEMBER', tenants_key, tenant) == 1 end,
  record = function(tenant)
    local values, fields, list = redis.call('HMGET', RECORD .. tenant, unpack(FIELDS)), {}, {}
    for i, name in ipairs(FIELDS) do fields[name] = values[i] or '' end
    -- A record that this script can't have written is ignored.
    if fields.cluster == '' or fields.uid == '' or not tonumber(fields.generation) then return false end
    for did in string.gmatch(fields.dids, '%S+') do list[#list + 1] = did end
    return new_record(fields, list)
  end,
}

local function get(kind, id)
  local value = now[kind][id]
  if value == nil then
    value = read[kind](id)
    was[kind][id], now[kind][id] = value, value
  end
  return value
end

local function same(a, b)
  if type(a) ~= 'table' or type(b) ~= 'table' then return a == b end
  for _, name in ipairs(FIELDS) do
    if a[name] ~= b[name] then return false end
  end
  return true
end

local function put(kind, id, value)
  if not same(get(kind, id), value) then
    now[kind][id], changed = value, true
    visibly = visibly or kind == 'config' or kind == 'mapping'
  end
end

-- Returns the tenant whose record lists the DID, and the record. The hash of DIDs names the tenant even when the
-- mapping was lost or points elsewhere; when the hash has lost the DID, the mapping names it.
local function holder(did)
  for _, tenant in ipairs({ get('owner', did) or '', get('mapping', did) or '' }) do
    local record = tenant ~= '' and get('record', tenant)
    if record and record.set[did] then return tenant, record end
  end
end

-- Removes the DID from the record of the tenant that held it. That tenant's config is changed by its own operation.
local function take(did, tenant)
  local record, fields, list = get('record', tenant), {}, {}
  for _, name in ipairs(FIELDS) do fields[name] = record[name] end
  for _, other in ipairs(record.list) do
    if other ~= did then list[#list + 1] = other end
  end
  put('record', tenant, new_record(fields, list))
end

-- Releases a DID that the tenant no longer holds, unless another one holds it. Returns true if it removed a mapping.
local function release(did, tenant, keep_mapping)
  local held = holder(did)
  if held and held ~= tenant then return false end
  if get('owner', did) == tenant then put('owner', did, false) end
  if keep_mapping or get('mapping', did) ~= tenant then return false end
  put('mapping', did, false)
  return true
end

-- Returns the DIDs that a config lists; none if the config is invalid.
local function listed(config)
  local parsed, document = pcall(cjson.decode, config)
  local list = {}
  if parsed and type(document) == 'table' and type(document.dids) == 'table' then
    for _, did in ipairs(document.dids) do
      if type(did) == 'string' then list[#list + 1] = did end
    end
  end
  return list
end

local function rejected(why, result)
  result.is, result.why = 'rejected', why
  return result
end

-- Returns true if the record's owner yields to the operation's: not if it was published after that was decided, since
-- it may hold the DIDs again. A resource yields to itself when it was set back to an earlier generation.
local function yields(record, operation)
  local generation = operation.yieldingOwners[record.uid]
  return generation == '' or generation == record.generation
end

-- Returns the conflict about the tenant id, or nothing. Adds to `taken` what is taken over.
local function tenant_conflict(operation, mine, taken)
  if not mine then return nil end
  if mine.cluster ~= cluster then
    if not operation.takeOver then return rejected('ownedElsewhere', { cluster = mine.cluster, owner = mine.owner }) end
    taken[#taken + 1] = { from = mine.owner .. ' of cluster ' .. mine.cluster }
  elseif mine.uid ~= operation.uid then
    if not yields(mine, operation) then return rejected('heldBy', { uid = mine.uid, owner = mine.owner }) end
  elseif tonumber(mine.generation) > tonumber(operation.generation) and not yields(mine, operation) then
    return rejected('stale', { generation = mine.generation })
  end
end

-- Adds a DID that another holder has to the conflicts by kind. Only the DIDs of the first holder (`by`: a cluster or a
-- uid) are listed, all of them.
local function add_conflict(first, why, by, did, result)
  local conflict = first[why]
  if not conflict then
    conflict = result
    conflict.by, conflict.dids, conflict.owners = by, {}, { [result.owner] = true }
    first[why] = conflict
  end
  if conflict.by ~= by then return end
  conflict.dids[#conflict.dids + 1] = did
  if not conflict.owners[result.owner] then
    conflict.owners[result.owner], conflict.owner = true, conflict.owner .. ', ' .. result.owner
  end
end

-- Returns the conflict about the DIDs, or nothing. Sets in `from` the tenant from which each DID is transferred, and
-- adds to `taken` what is taken over.
local function did_conflict(operation, previously, from, taken)
  local first, in_use = {}, {}
  for _, did in ipairs(operation.dids) do
    local tenant, record = holder(did)
    if tenant and tenant ~= operation.tenant then
      from[did] = tenant
      if record.cluster ~= cluster then
        if operation.takeOver then
          taken[#taken + 1] = { did = did, from = record.owner .. ' of cluster ' .. record.cluster }
        else
          add_conflict(first, 'ownedElsewhere', record.cluster, did, { cluster = record.cluster, owner = record.owner })
        end
      elseif record.uid ~= operation.uid and not yields(record, operation) then
        add_conflict(first, 'heldBy', record.uid, did, { uid = record.uid, owner = record.owner })
      end
    elseif not tenant then
      -- A mapping to a tenant whose record does not list the DID was written by another client.
      local mapped = get('mapping', did)
      if mapped and mapped ~= operation.tenant and not previously[did] and not get('record', mapped) then
        if operation.takeOver then
          taken[#taken + 1] = { did = did, from = 'tenant ' .. mapped }
        else
          in_use[#in_use + 1] = { did = did, tenant = mapped }
        end
      end
    end
  end
  for _, why in ipairs({ 'ownedElsewhere', 'heldBy' }) do
    local conflict = first[why]
    if conflict then
      return rejected(why, {
        cluster = conflict.cluster, uid = conflict.uid, owner = conflict.owner, dids = conflict.dids,
      })
    end
  end
  if #in_use > 0 then return rejected('didsInUse', { mapped = in_use }) end
end

-- Returns the DIDs that the tenant has held until now, or a conflict if an older publisher's config lists more.
local function held_before(operation, mine, wanted, previously)
  if mine then return mine.list end
  local held, orphaned = {}, {}
  for _, did in ipairs(operation.previouslyListed) do held[#held + 1] = did end
  for _, did in ipairs(listed(get('config', operation.tenant) or '')) do
    if not wanted[did] and not previously[did] and get('mapping', did) == operation.tenant and not holder(did) then
      orphaned[#orphaned + 1] = did
      held[#held + 1] = did
    end
  end
  if #orphaned > 0 and not operation.takeOver then return nil, rejected('wouldUnmap', { dids = orphaned }) end
  return held
end

local function publish(operation, config)
  local tenant, mine = operation.tenant, get('record', operation.tenant)
  local wanted, previously = to_set(operation.dids), to_set(operation.previouslyListed)
  local from, taken, removed = {}, {}, {}
  local conflict = tenant_conflict(operation, mine, taken) or did_conflict(operation, previously, from, taken)
  if conflict then return conflict end
  local held
  held, conflict = held_before(operation, mine, wanted, previously)
  if conflict then return conflict end

  local adopted = not mine and #operation.previouslyListed == 0 and get('config', tenant) ~= false
  for _, did in ipairs(held) do
    if not wanted[did] and release(did, tenant) then removed[#removed + 1] = did end
  end
  put('config', tenant, config)
  for _, did in ipairs(operation.dids) do
    if from[did] then take(did, from[did]) end
    put('mapping', did, tenant)
    put('owner', did, tenant)
  end
  put('member', tenant, true)
  put('record', tenant, new_record({
    cluster = cluster, owner = operation.owner, uid = operation.uid, generation = operation.generation,
    secret = operation.secret, hash = operation.hash, sha1 = operation.sha1,
  }, operation.dids))
  if not changed then return { is = 'unchanged' } end
  if not visibly and not adopted and #taken == 0 then return { is = 'recorded' } end
  return { is = 'published', adopted = adopted, takenOver = taken, removed = removed }
end

-- Returns true if the tenant's config lists a DID that still maps to it: then another publisher uses the tenant id.
local function is_in_use(tenant)
  for _, did in ipairs(listed(get('config', tenant) or '')) do
    if get('mapping', did) == tenant then return true end
  end
  return false
end

local function remove(operation)
  local tenant, mine, keys = operation.tenant, get('record', operation.tenant), false
  if mine and (mine.cluster ~= cluster or mine.uid ~= operation.uid) then return { is = 'notOwned' } end
  for _, did in ipairs(mine and mine.list or operation.previouslyListed) do
    keys = release(did, tenant, operation.retain) or keys
  end
  put('record', tenant, false)
  put('member', tenant, false)
  local ours = mine or #operation.previouslyListed > 0
  if not operation.retain and ours and get('config', tenant) and not is_in_use(tenant) then
    put('config', tenant, false)
    keys = true
  end
  if not changed then return { is = 'unchanged' } end
  return { is = 'removed', keys = keys }
end

-- Writes configs before mappings, and removes mappings before configs: even a script that is aborted half-way (an ACL
-- that lacks a command) leaves no DID without its config.
local function write()
  for tenant, config in pairs(now.config) do
    if config and config ~= was.config[tenant] then redis.call('SET', CONFIG .. tenant, config) end
  end
  for did, tenant in pairs(now.mapping) do
    if tenant and tenant ~= was.mapping[did] then redis.call('SET', DID .. did, tenant) end
    if was.mapping[did] and not tenant then redis.call('DEL', DID .. did) end
  end
  for tenant, config in pairs(now.config) do
    if was.config[tenant] and not config then redis.call('DEL', CONFIG .. tenant) end
  end
  for tenant, record in pairs(now.record) do
    local before = was.record[tenant]
    if not record and before then
      redis.call('DEL', RECORD .. tenant)
    elseif record and not same(before, record) then
      local values = {}
      for _, name in ipairs(FIELDS) do
        values[#values + 1], values[#values + 2] = name, record[name]
      end
      redis.call('HSET', RECORD .. tenant, unpack(values))
    end
    if before and before.cluster ~= cluster and (not record or record.cluster ~= before.cluster) then
      redis.call('SREM', TENANTS .. before.cluster, tenant)
    end
  end
  for tenant, member in pairs(now.member) do
    if member ~= was.member[tenant] then redis.call(member and 'SADD' or 'SREM', tenants_key, tenant) end
  end
  for did, tenant in pairs(now.owner) do
    if tenant and tenant ~= was.owner[did] then redis.call('HSET', dids_key, did, tenant) end
    if was.owner[did] and not tenant then redis.call('HDEL', dids_key, did) end
  end
end

-- cjson encodes an empty table as an object, so leave out empty lists.
local function unless_empty(list)
  if list and #list > 0 then return list end
end

local results, any_rejected = {}, false
for i, operation in ipairs(plan.operations) do
  changed, visibly = false, false
  results[i] = operation.op == 'publish' and publish(operation, ARGV[2 + i]) or remove(operation)
  any_rejected = any_rejected or results[i].is == 'rejected'
end
if not any_rejected then write() end
for i, result in ipairs(results) do
  if any_rejected and (result.is == 'published' or result.is == 'recorded' or result.is == 'removed') then
    results[i] = { is = 'aborted' }
  elseif result.is == 'published' then
    -- A DID that another operation of the call maps is not removed.
    local unmapped = {}
    for _, did in ipairs(result.removed) do
      if not now.mapping[did] then unmapped[#unmapped + 1] = did end
    end
    result.removed, result.takenOver = unless_empty(unmapped), unless_empty(result.takenOver)
  end
end
return cjson.encode({ results = results })
