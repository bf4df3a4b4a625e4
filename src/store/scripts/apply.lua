-- Publishes and removes tenants: all operations of a call or none.
--
-- First every operation is decided on, against Redis as the earlier operations of the call would leave it; then, if none was
-- refused, what differs is written. Nothing differs: nothing is written.
--
-- KEYS  1 the epoch   2 the hash of writers to `<number>/<mark>`, what they took last   3 the hash of numbers to the tenants that own
--       them   4 the set of this cluster's tenants
--       then, so that an ACL that lacks a key is noticed before anything is written: of each operation its record, its
--       config and its numbers' mappings. Records, mappings and sets of other tenants are reached by their names.
-- ARGV  1 the caller's epoch, as `<number>/<mark>`   2 the plan, JSON: {writer, cluster, operations: [operation]}   3… one config a operation, "" for a removal
--       operation  {op="publish", tenant, owner, uid, generation, secret, hash, sha1, dids, previouslyListed, yieldingOwners = {uid: generation, "" for any}, takeOver}
--             {op="remove", tenant, uid, previouslyListed, retain}
-- Answer  JSON, empty lists left out: {fenced: true, current?} or {operations: [answer]}, an answer being
--       {is="unchanged"|"recorded"|"notOwned"|"aborted"}, {is="published", adopted, takenOver: [{did?, from}], removed: [did]},
--       {is="removed", keys}, or {is="rejected", why, cluster?, uid?, owner?, generation?, dids?, numbers: [{did, tenant}]?}

local plan = cjson.decode(ARGV[2])

-- Current is the number that this writer took last, while no number is missing: a counter that was lost, set back or
-- counted up by somebody else fences every writer until each has taken a new one. Writers of other clusters, which
-- write to keys of their own, don't fence this one.
local current, highest = redis.call('GET', KEYS[1]), 0
for _, number in ipairs(redis.call('HVALS', KEYS[2])) do
  highest = math.max(highest, tonumber(string.match(number, '^%d+')) or 0)
end
if redis.call('HGET', KEYS[2], plan.writer) ~= ARGV[1] or tonumber(current) ~= highest then
  return cjson.encode({ fenced = true, current = current or nil })
end

local DID, CONFIG = 'tenantmap:did:', 'tenantcfg:'
local RECORD, TENANTS = 'runtime-operator:tenant:', 'runtime-operator:tenants:'
local FIELDS = { 'cluster', 'owner', 'uid', 'generation', 'secret', 'dids', 'hash', 'sha1' }
local dids_key, tenants_key = KEYS[3], KEYS[4]
local cluster = plan.cluster

-- Redis as it is, each cell read once and when asked for, and as the operations leave it. `false` is "not there".
local was = { config = {}, mapping = {}, owner = {}, record = {}, member = {} }
local now = { config = {}, mapping = {}, owner = {}, record = {}, member = {} }
-- Whether the operation at hand changes anything, and anything that the runtime reads.
local changed, visibly

local function words(list)
  local set = {}
  for _, word in ipairs(list) do set[word] = true end
  return set
end

-- A record: its fields and, as `list` and `set`, its numbers.
local function new_record(fields, list)
  fields.list, fields.set, fields.dids = list, words(list), table.concat(list, ' ')
  return fields
end

local read = {
  -- MGET and not GET: a key of another type is read as not there, and overwritten.
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
    -- Not written by this script: as good as none.
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

-- The tenant whose record lists the number. The hash of numbers says which, even when the mapping was lost or
-- points elsewhere; when the hash lost it, the mapping does.
local function holder(did)
  for _, tenant in ipairs({ get('owner', did) or '', get('mapping', did) or '' }) do
    local record = tenant ~= '' and get('record', tenant)
    if record and record.set[did] then return tenant, record end
  end
end

-- Takes the number out of the record of the tenant that held it; its config waits for a operation of its own.
local function take(did, tenant)
  local record, fields, list = get('record', tenant), {}, {}
  for _, name in ipairs(FIELDS) do fields[name] = record[name] end
  for _, other in ipairs(record.list) do
    if other ~= did then list[#list + 1] = other end
  end
  put('record', tenant, new_record(fields, list))
end

-- Lets go of a number that the tenant no longer holds, unless another has it. Says whether a mapping went.
local function release(did, tenant, keep_mapping)
  local held = holder(did)
  if held and held ~= tenant then return false end
  if get('owner', did) == tenant then put('owner', did, false) end
  if keep_mapping or get('mapping', did) ~= tenant then return false end
  put('mapping', did, false)
  return true
end

-- The numbers that a config lists: none where it is broken.
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

local function refused(why, answer)
  answer.is, answer.why = 'rejected', why
  return answer
end

-- Whether the owner by this record yields (a resource to itself, where an earlier generation is what counts): not if it was published since that was decided, for it may hold it again.
local function yields(record, operation)
  local generation = operation.yieldingOwners[record.uid]
  return generation == '' or generation == record.generation
end

-- Who holds the tenant id: a refusal, or nothing; notes what is taken over.
local function tenant_refusal(operation, mine, taken)
  if not mine then return nil end
  if mine.cluster ~= cluster then
    if not operation.takeOver then return refused('ownedElsewhere', { cluster = mine.cluster, owner = mine.owner }) end
    taken[#taken + 1] = { from = mine.owner .. ' of cluster ' .. mine.cluster }
  elseif mine.uid ~= operation.uid then
    if not yields(mine, operation) then return refused('heldBy', { uid = mine.uid, owner = mine.owner }) end
  elseif tonumber(mine.generation) > tonumber(operation.generation) and not yields(mine, operation) then
    return refused('stale', { generation = mine.generation })
  end
end

-- Numbers in the way, by kind. Of several holders the first is named, with all that it has.
local function note(first, why, by, did, answer)
  local noted = first[why]
  if not noted then
    noted = answer
    noted.by, noted.dids, noted.owners = by, {}, { [answer.owner] = true }
    first[why] = noted
  end
  if noted.by ~= by then return end
  noted.dids[#noted.dids + 1] = did
  if not noted.owners[answer.owner] then
    noted.owners[answer.owner], noted.owner = true, noted.owner .. ', ' .. answer.owner
  end
end

-- Who holds each number: a refusal, or nothing; notes from which tenant each is taken, and what is taken over.
local function number_refusal(operation, known, from, taken)
  local first, in_use = {}, {}
  for _, did in ipairs(operation.dids) do
    local tenant, record = holder(did)
    if tenant and tenant ~= operation.tenant then
      from[did] = tenant
      if record.cluster ~= cluster then
        if operation.takeOver then
          taken[#taken + 1] = { did = did, from = record.owner .. ' of cluster ' .. record.cluster }
        else
          note(first, 'ownedElsewhere', record.cluster, did, { cluster = record.cluster, owner = record.owner })
        end
      elseif record.uid ~= operation.uid and not yields(record, operation) then
        note(first, 'heldBy', record.uid, did, { uid = record.uid, owner = record.owner })
      end
    elseif not tenant then
      -- Mapped to a tenant that has a record, but not this number: broken from outside.
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
    local noted = first[why]
    if noted then
      return refused(why, { cluster = noted.cluster, uid = noted.uid, owner = noted.owner, dids = noted.dids })
    end
  end
  if #in_use > 0 then return refused('didsInUse', { numbers = in_use }) end
end

-- The numbers that the tenant has held until now; a refusal where an older publisher's config lists more.
local function held_before(operation, mine, wanted, known)
  if mine then return mine.list end
  local held, orphaned = {}, {}
  for _, did in ipairs(operation.previouslyListed) do held[#held + 1] = did end
  for _, did in ipairs(listed(get('config', operation.tenant) or '')) do
    if not wanted[did] and not known[did] and get('mapping', did) == operation.tenant and not holder(did) then
      orphaned[#orphaned + 1] = did
      held[#held + 1] = did
    end
  end
  if #orphaned > 0 and not operation.takeOver then return nil, refused('wouldUnmap', { dids = orphaned }) end
  return held
end

local function publish(operation, config)
  local tenant, mine = operation.tenant, get('record', operation.tenant)
  local wanted, known = words(operation.dids), words(operation.previouslyListed)
  local from, taken, removed = {}, {}, {}
  local refusal = tenant_refusal(operation, mine, taken) or number_refusal(operation, known, from, taken)
  if refusal then return refusal end
  local held
  held, refusal = held_before(operation, mine, wanted, known)
  if refusal then return refusal end

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

-- Whether the tenant's config lists a number that still maps to it: somebody else's, then.
local function still_live(tenant)
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
  if not operation.retain and (mine or #operation.previouslyListed > 0) and get('config', tenant) and not still_live(tenant) then
    put('config', tenant, false)
    keys = true
  end
  if not changed then return { is = 'unchanged' } end
  return { is = 'removed', keys = keys }
end

-- Mappings appear after their configs and go before them: even a script that is broken off half-way (an ACL that
-- lacks a command) leaves no number without its config.
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
      local pairs_of = {}
      for _, name in ipairs(FIELDS) do
        pairs_of[#pairs_of + 1], pairs_of[#pairs_of + 2] = name, record[name]
      end
      redis.call('HSET', RECORD .. tenant, unpack(pairs_of))
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

local function left_out_when_empty(list)
  if list and #list > 0 then return list end
end

local answers, any_refused = {}, false
for i, operation in ipairs(plan.operations) do
  changed, visibly = false, false
  answers[i] = operation.op == 'publish' and publish(operation, ARGV[2 + i]) or remove(operation)
  any_refused = any_refused or answers[i].is == 'rejected'
end
if not any_refused then write() end
for i, answer in ipairs(answers) do
  if any_refused and (answer.is == 'published' or answer.is == 'recorded' or answer.is == 'removed') then
    answers[i] = { is = 'aborted' }
  elseif answer.is == 'published' then
    -- A number that another operation of the call picked up is not gone.
    local gone = {}
    for _, did in ipairs(answer.removed) do
      if not now.mapping[did] then gone[#gone + 1] = did end
    end
    answer.removed, answer.takenOver = left_out_when_empty(gone), left_out_when_empty(answer.takenOver)
  end
end
return cjson.encode({ operations = answers })
