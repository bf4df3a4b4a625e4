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
--            {op="publish", tenant, owner, uid, generation, secret, hash, sha1, dids, previouslyListed, afterLoss,
--             yieldingOwners = {uid: generation, "" for any}, annotated, takeOver, takeOverFrom = {cluster, owner}} or
--            {op="remove", tenant, uid, previouslyListed, retain}
--       3… one config for each operation, "" for a removal
-- Reply JSON, without empty lists: {fenced: true, current?} or {results: [result], denied, replaced: [key]}: the optional
--       commands that were denied, the own keys that held another type, and as result
--            {is="unchanged"|"recorded"|"notOwned"|"aborted"},
--            {is="published", adopted = {changed: [[name or index]], total, whole?}?,
--             takenOver: [{did?, from, cluster?, uid?}], removed: [did]},
--            {is="removed", keys} or
--            {is="rejected", why, cluster?, uid?, owner?, generation?, dids?, mapped: [{did, tenant}]?}

local plan = cjson.decode(ARGV[2])

-- The current epoch is the one that this writer acquired last, while the counter is the highest acquired epoch: a
-- counter that was lost, set back or incremented by another client fences every writer until each has acquired a new
-- epoch. Writers of other clusters, which write to keys of their own, don't fence this one.
local current = count(text(KEYS[1], MAX_DIGITS))
if own('HGET', KEYS[2], plan.writer) ~= ARGV[1] or current ~= highest_epoch(KEYS[2]) then
  return cjson.encode({ fenced = true, current = current and string.format('%.0f', current) })
end

local dids_key, tenants_key = KEYS[3], KEYS[4]
local cluster = plan.cluster
-- The maximum of holders that a record notes as those from which something was taken.
local MAX_NOTES = 10

-- Redis before the call, and after the operations so far. Each cell is read once, on first use; `false` means "absent".
local was = { config = {}, mapping = {}, owner = {}, record = {}, member = {} }
local now = { config = {}, mapping = {}, owner = {}, record = {}, member = {} }
-- Set when the current operation changes anything, and when it changes a key that the runtime reads.
local changed, visibly
-- Keys whose expiry must be removed, with their value where it is a string.
local expiring = {}

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
  config = function(tenant) return text(CONFIG .. tenant, MAX_CONFIG) end,
  mapping = function(did) return text(DID .. did, MAX_TENANT) end,
  owner = function(did) return own('HGET', dids_key, did) or false end,
  member = function(tenant) return own('SISMEMBER', tenants_key, tenant) == 1 end,
  record = function(tenant)
    local fields, list = fields_of(tenant), {}
    if not fields then return false end
    for did in string.gmatch(fields.dids, '%S+') do list[#list + 1] = did end
    return new_record(fields, list)
  end,
}
local KEY = { config = CONFIG, mapping = DID, record = RECORD }

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

local function note_change(kind)
  changed = true
  visibly = visibly or kind == 'config' or kind == 'mapping'
end

-- Keeps a value, and removes the key's expiry if it has one.
local function keep(kind, id)
  local key = KEY[kind] .. id
  if expiring[key] == nil and expires(key) then
    expiring[key] = kind ~= 'record' and get(kind, id) or true
    note_change(kind)
  end
end

local function put(kind, id, value)
  if not same(get(kind, id), value) then
    now[kind][id] = value
    note_change(kind)
  elseif value and KEY[kind] then
    keep(kind, id)
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
  if get('mapping', did) ~= tenant then return false end
  if keep_mapping then
    keep('mapping', did)
    return false
  end
  put('mapping', did, false)
  return true
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

-- Returns true if the operation may take what another cluster's record holds.
local function may_take(operation, record)
  local from = operation.takeOverFrom
  return operation.takeOver or (from and from.cluster == record.cluster and from.owner == record.owner)
end

local function taken_from(record, did)
  return { did = did, from = record.owner .. ' of cluster ' .. record.cluster, cluster = record.cluster, uid = record.uid }
end

-- Returns the conflict about the tenant id, or nothing. Adds to `taken` what is taken over.
local function tenant_conflict(operation, mine, taken)
  if not mine then return nil end
  if mine.cluster ~= cluster then
    if not may_take(operation, mine) then
      return rejected('ownedElsewhere', { cluster = mine.cluster, owner = mine.owner })
    end
    taken[#taken + 1] = taken_from(mine)
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
-- adds to `taken` what is taken over. `known`: the DIDs that are the tenant's, wherever they point.
local function did_conflict(operation, known, from, taken)
  local first, in_use = {}, {}
  for _, did in ipairs(operation.dids) do
    local tenant, record = holder(did)
    if tenant and tenant ~= operation.tenant then
      from[did] = tenant
      if record.cluster ~= cluster then
        if may_take(operation, record) then
          taken[#taken + 1] = taken_from(record, did)
        else
          add_conflict(first, 'ownedElsewhere', record.cluster, did, { cluster = record.cluster, owner = record.owner })
        end
      elseif record.uid ~= operation.uid and not yields(record, operation) then
        add_conflict(first, 'heldBy', record.uid, did, { uid = record.uid, owner = record.owner })
      end
    elseif not tenant then
      -- A mapping to a tenant whose record does not list the DID was written by another client.
      local mapped = get('mapping', did)
      if mapped and mapped ~= operation.tenant and not known[did] and not get('record', mapped) then
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

-- Returns the DIDs that a tenant without a record has held until now, and what the adoption of an older publisher's config
-- changes; or nothing, and a conflict.
local function adopt(operation, config, wanted, previously)
  local tenant, held, orphaned = operation.tenant, {}, {}
  for _, did in ipairs(operation.previouslyListed) do held[#held + 1] = did end
  local stored, lost = get('config', tenant), #held > 0
  -- Without a config, nothing is adopted. Our own bytes list our own DIDs.
  if not stored then return held end
  if stored == config or differs_in_stamp_alone(stored, config) then return held, not lost and { total = 0 } end
  if #stored > MAX_DECODED then
    if lost then return held end
    return nil, nil, rejected('tooLarge', {})
  end
  local old = decoded(stored)
  for _, did in ipairs(listed(old)) do
    if not wanted[did] and not previously[did] and get('mapping', did) == tenant and not holder(did) then
      orphaned[#orphaned + 1] = did
      held[#held + 1] = did
    end
  end
  if #orphaned > 0 and not operation.takeOver then return nil, nil, rejected('wouldUnmap', { dids = orphaned }) end
  if lost then return held end
  local new = decoded(config) or {}
  if old and not operation.takeOver and changes_secret(old, new) then
    return nil, nil, rejected('wouldChangeSecret', {})
  end
  if not old then return held, { total = 1, whole = true } end
  local places, total = differences(old, new)
  return held, { changed = places, total = total }
end

-- Returns the holders from which the annotation has taken something, for the record: those of before and those of now.
local function note_taken(operation, mine, taken)
  local notes, seen = {}, {}
  local function note(line)
    if not seen[line] and #notes < MAX_NOTES then
      seen[line] = true
      notes[#notes + 1] = line
    end
  end
  if not operation.annotated then return '' end
  for _, it in ipairs(taken) do
    if it.uid then note(it.uid .. ' ' .. it.cluster) end
  end
  if mine and mine.uid == operation.uid then
    for line in string.gmatch(mine.taken, '[^\n]+') do note(line) end
  end
  return table.concat(notes, '\n')
end

local function publish(operation, config)
  local tenant, mine = operation.tenant, get('record', operation.tenant)
  local wanted, previously = to_set(operation.dids), to_set(operation.previouslyListed)
  local from, taken, removed = {}, {}, {}
  -- With a record of its own, a tenant knows by that record alone what is its own, but after a loss.
  local known, ours = previously, mine and mine.cluster == cluster and mine.uid == operation.uid
  if ours and not operation.afterLoss then known = mine.set end
  local conflict = tenant_conflict(operation, mine, taken) or did_conflict(operation, known, from, taken)
  if conflict then return conflict end
  local held, adopted = mine and mine.list, nil
  if not mine then
    held, adopted, conflict = adopt(operation, config, wanted, previously)
    if conflict then return conflict end
  end

  for _, did in ipairs(held) do
    if not wanted[did] and release(did, tenant) then removed[#removed + 1] = did end
  end
  local stored, stamped = get('config', tenant), ''
  if stored and stored ~= config and differs_in_stamp_alone(stored, config) then
    stamped = operation.sha1 .. ' ' .. redis.sha1hex(stored)
    keep('config', tenant)
  else
    put('config', tenant, config)
  end
  for _, did in ipairs(operation.dids) do
    if from[did] then take(did, from[did]) end
    put('mapping', did, tenant)
    put('owner', did, tenant)
  end
  put('member', tenant, true)
  put('record', tenant, new_record({
    cluster = cluster, owner = operation.owner, uid = operation.uid, generation = operation.generation,
    secret = operation.secret, hash = operation.hash, sha1 = operation.sha1, stamped = stamped,
    taken = note_taken(operation, mine, taken),
  }, operation.dids))
  if not changed then return { is = 'unchanged' } end
  if not visibly and not adopted and #taken == 0 then return { is = 'recorded' } end
  return { is = 'published', adopted = adopted or nil, takenOver = taken, removed = removed }
end

-- Returns true if the tenant's config lists a DID that still maps to it: then another publisher uses the tenant id.
-- One that can't be decoded may list any.
local function is_in_use(tenant, mine)
  local config, list = get('config', tenant), nil
  if not config then return false end
  if #config <= MAX_DECODED then
    list = listed(decoded(config))
  elseif mine and is_recorded(config, mine) then
    list = mine.list
  else
    return true
  end
  for _, did in ipairs(list) do
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
  -- An empty config, which `text` reads as absent, is removed too.
  if not get('config', tenant) and redis.call('MGET', CONFIG .. tenant)[1] == '' then
    was.config[tenant], now.config[tenant] = '', ''
  end
  if spoiled[RECORD .. tenant] then changed = true end
  local ours = mine or #operation.previouslyListed > 0
  if ours and operation.retain and get('config', tenant) then
    keep('config', tenant)
  elseif ours and get('config', tenant) and not is_in_use(tenant, mine) then
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
    if not record and (before or spoiled[RECORD .. tenant]) then
      redis.call('DEL', RECORD .. tenant)
    elseif record and not same(before, record) then
      local values = {}
      for _, name in ipairs(FIELDS) do
        values[#values + 1], values[#values + 2] = name, record[name]
      end
      make_good(RECORD .. tenant)
      redis.call('HSET', RECORD .. tenant, unpack(values))
    end
    if before and before.cluster ~= cluster and (not record or record.cluster ~= before.cluster) then
      own('SREM', TENANTS .. before.cluster, tenant)
    end
  end
  for tenant, member in pairs(now.member) do
    if member then make_good(tenants_key) end
    if member ~= was.member[tenant] then redis.call(member and 'SADD' or 'SREM', tenants_key, tenant) end
  end
  for did, tenant in pairs(now.owner) do
    if tenant then make_good(dids_key) end
    if tenant and tenant ~= was.owner[did] then redis.call('HSET', dids_key, did, tenant) end
    if was.owner[did] and not tenant then redis.call('HDEL', dids_key, did) end
  end
  for key, value in pairs(expiring) do
    persist(key)
    -- SET clears an expiry too, but only strings can be set.
    if denied.PERSIST and value ~= true then redis.call('SET', key, value) end
  end
end

-- cjson encodes an empty table as an object, so leave out empty lists.
local function unless_empty(list)
  if list and #list > 0 then return list end
end

local results, any_rejected, replaced = {}, false, {}
for i, operation in ipairs(plan.operations) do
  changed, visibly = false, false
  results[i] = operation.op == 'publish' and publish(operation, ARGV[2 + i]) or remove(operation)
  any_rejected = any_rejected or results[i].is == 'rejected'
end
for key in pairs(spoiled) do replaced[#replaced + 1] = key end
if not any_rejected then write() end
-- The keys that all tenants share have no expiry either. A call that publishes does not ask, since many may follow each
-- other; the next one that only compares does, and so does the audit.
local published = false
for _, result in ipairs(results) do published = published or result.is == 'published' end
for i = 1, published and 0 or 4 do
  if expires(KEYS[i]) then persist(KEYS[i]) end
end
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
    if result.adopted then result.adopted.changed = unless_empty(result.adopted.changed) end
  end
end
return cjson.encode({ results = results, denied = denied_commands(), replaced = unless_empty(replaced) })
