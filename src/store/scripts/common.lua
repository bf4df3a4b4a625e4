-- What the other scripts have in common, each of which follows it: names, and reads that trust no value.
--
-- A key may hold another type, an absurd value, or one of half a gigabyte: another client wrote it. What can't be used
-- counts as absent. Commands that newer versions of the operator need are optional: without the right to one, what it
-- is for is left out, and all else goes on.

local DID, CONFIG = 'tenantmap:did:', 'tenantcfg:'
local RECORD, TENANTS = 'runtime-operator:tenant:', 'runtime-operator:tenants:'
local EPOCH, EPOCHS = 'runtime-operator:epoch', 'runtime-operator:epochs'
-- The fields of a record.
--   sha1     the SHA-1 of the config that the operator published
--   stamped  `<sha1> <other>`: while the first is the record's, a config with the second SHA-1 is as good
--   taken    `<uid> <cluster>` of the holders from which the take-over annotation has taken something, one a line
local FIELDS = { 'cluster', 'owner', 'uid', 'generation', 'secret', 'dids', 'hash', 'sha1', 'stamped', 'taken' }
-- In bytes: what a record's field, a tenant id and a config may be long. A config is at most 1 MiB of a spec and a
-- Secret; what is longer was written by another client.
local MAX_FIELD, MAX_TENANT, MAX_CONFIG = 65536, 1024, 2200000
-- Epochs and generations have at most 15 digits, which Lua's numbers hold exactly.
local MAX_DIGITS = 15

-- The optional commands that Redis denied, and the own keys that hold another type.
local denied, spoiled = {}, {}

local function failed(reply, text)
  return type(reply) == 'table' and reply.err and (not text or string.find(reply.err, text, 1, true) ~= nil)
end

-- Returns the reply of an optional command, or nothing where the user may not run it or Redis does not know it.
local function optional(command, ...)
  if denied[command] then return nil end
  local reply = redis.pcall(command, ...)
  -- Redis 7.0, then later versions and Valkey.
  local is_denied = failed(reply, "can't run this command") or failed(reply, 'no permissions to run')
  if is_denied or failed(reply, 'Unknown Redis command') then
    denied[command] = true
    return nil
  end
  return reply
end

-- Returns the reply of a command on an own key, or nothing where the key holds another type.
local function own(command, key, ...)
  if spoiled[key] then return nil end
  local reply = redis.pcall(command, key, ...)
  if failed(reply, 'WRONGTYPE') then
    spoiled[key] = true
    return nil
  end
  -- Another error is the call's own.
  if failed(reply) then return redis.call(command, key, ...) end
  return reply
end

-- Deletes an own key that holds another type, before it is written.
local function make_good(key)
  if spoiled[key] then
    redis.call('DEL', key)
    spoiled[key] = nil
  end
end

-- Returns a string, the first `longest` bytes of it and one more where it is longer; `false`: absent, empty or of another
-- type.
local function text(key, longest)
  local value = optional('GETRANGE', key, 0, longest)
  if type(value) == 'string' then return value ~= '' and value end
  if failed(value, 'WRONGTYPE') then return false end
  -- MGET and not GET: a key of another type is read as absent.
  value = redis.call('MGET', key)[1]
  return value ~= '' and value
end

-- Returns true if the key will expire: no managed key may.
local function expires(key)
  local left = optional('PTTL', key)
  return type(left) == 'number' and left >= 0
end

-- Removes an expiry. An error is no reason to fail: a replica refuses it, too.
local function persist(key)
  optional('PERSIST', key)
end

-- Returns a count, or nothing where the text is none that the operator can have written.
local function count(digits)
  if type(digits) ~= 'string' or #digits > MAX_DIGITS or not string.find(digits, '^%d+$') then return nil end
  return tonumber(digits)
end

-- Returns the fields of a tenant's record, or nothing without a record that the operator can have written.
local function fields_of(tenant)
  local values, fields = own('HMGET', RECORD .. tenant, unpack(FIELDS)), {}
  if not values then return nil end
  for i, name in ipairs(FIELDS) do
    local value = values[i] or ''
    if #value > MAX_FIELD then return nil end
    fields[name] = value
  end
  if fields.cluster == '' or fields.uid == '' or not count(fields.generation) then return nil end
  return fields
end

-- Returns true if the config is the one that the record states, or one that was found to differ in its stamp alone.
local function is_recorded(config, fields)
  if not config or #config > MAX_CONFIG then return false end
  local sha1 = redis.sha1hex(config)
  return sha1 == fields.sha1 or fields.stamped == fields.sha1 .. ' ' .. sha1
end

-- Returns the highest epoch that any writer has acquired. Entries that no writer can have made don't count.
local function highest_epoch(epochs_key)
  local highest = 0
  for _, acquired in ipairs(own('HVALS', epochs_key) or {}) do
    highest = math.max(highest, count(string.match(acquired, '^(%d+)/')) or 0)
  end
  return highest
end

-- Returns the optional commands that were denied, separated by spaces.
local function denied_commands()
  local names = {}
  for name in pairs(denied) do names[#names + 1] = name end
  table.sort(names)
  return table.concat(names, ' ')
end
