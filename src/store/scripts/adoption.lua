-- What the adoption of an older publisher's config means: for `apply.lua`. Values, and hashes of values, never leave it.

-- In bytes: a longer config is not decoded, since that would delay every other client.
local MAX_DECODED = 1048576
-- What a reply names at most: places, the levels of a place, and the bytes of a member's name.
local MAX_PLACES, MAX_LEVELS, MAX_NAME = 100, 16, 64

-- What JavaScript's `trim` removes, in UTF-8: the runtime trims secrets.
local BLANK

-- Returns the set of them, made when it is first needed: few calls adopt anything.
local function blanks()
  if BLANK then return BLANK end
  BLANK = {}
  for _, blank in ipairs({
    '\t', '\n', '\11', '\12', '\r', ' ', '\194\160', '\225\154\128', '\226\128\168', '\226\128\169', '\226\128\175',
    '\226\129\159', '\227\128\128', '\239\187\191',
  }) do BLANK[blank] = true end
  for last = 128, 138 do BLANK['\226\128' .. string.char(last)] = true end
  return BLANK
end

-- Returns the object that a config is; nothing if it is none.
local function decoded(config)
  local parsed, document = pcall(cjson.decode, config)
  if not parsed or type(document) ~= 'table' or type(next(document)) == 'number' then return nil end
  return document
end

-- Returns the DIDs that a config lists.
local function listed(document)
  local list = {}
  if document and type(document.dids) == 'table' then
    for _, did in ipairs(document.dids) do
      if type(did) == 'string' and #did <= 16 then list[#list + 1] = did end
    end
  end
  return list
end

local function trim(value)
  local first, last, set = 1, #value, blanks()
  local function blank(at, length) return set[string.sub(value, at, at + length - 1)] and length end
  while first <= last do
    local length = blank(first, 1) or blank(first, 2) or blank(first, 3)
    if not length then break end
    first = first + length
  end
  while last >= first do
    local length = blank(last, 1) or blank(last - 1, 2) or blank(last - 2, 3)
    if not length then break end
    last = last - length
  end
  return string.sub(value, first, last)
end

-- Returns the webhook secret of a config as the runtime uses it; `env` alone if it is a variable of the runtime.
local function secret_of(document)
  local function given(name)
    local value = type(document[name]) == 'string' and trim(document[name]) or ''
    return value ~= '' and value or nil
  end
  local value, reference = given('webhookSecret'), given('webhookSecretRef')
  if value or not reference then return value end
  if string.sub(reference, 1, 4) == 'env:' then return nil, true end
  return reference
end

-- Returns true if the runtime would verify webhooks with another secret than until now, or perhaps would.
local function changes_secret(old, new)
  local before, env = secret_of(old)
  return env or (before ~= nil and before ~= secret_of(new))
end

local function shape(value)
  if type(value) ~= 'table' then return 'plain' end
  local key = next(value)
  return key == nil and 'empty' or type(key) == 'number' and 'list' or 'object'
end

local differ

local function lists_differ(old, new, found)
  if #old ~= #new then return found() end
  for i = 1, #old do differ(old[i], new[i], found, i - 1) end
end

local function objects_differ(old, new, found)
  for name, value in pairs(old) do differ(value, new[name], found, name) end
  for name, value in pairs(new) do
    if old[name] == nil then differ(nil, value, found, name) end
  end
end

-- Reports where two values differ: `found.at` is the place of the values, `found()` adds it to the result.
differ = function(old, new, found, name)
  if old == new then return end
  found.at[#found.at + 1] = type(name) == 'string' and string.sub(name, 1, MAX_NAME) or name
  local one, other = shape(old), shape(new)
  if one == 'plain' or other == 'plain' then
    found()
  elseif one == 'list' and other == 'list' then
    lists_differ(old, new, found)
  elseif one == 'list' or other == 'list' then
    found()
  else
    objects_differ(old, new, found)
  end
  found.at[#found.at] = nil
end

-- Returns the places at which two configs differ, each a list of names and indexes, and their count.
local function differences(old, new)
  local places, total = {}, 0
  local found = setmetatable({ at = {} }, {
    __call = function(self)
      total = total + 1
      if #places >= MAX_PLACES then return end
      local place = {}
      for level = 1, math.min(#self.at, MAX_LEVELS) do place[level] = self.at[level] end
      places[#places + 1] = place
    end,
  })
  objects_differ(old, new, found)
  return places, total
end

local STAMP = '"lastRuntimePublishedAt":"(%d%d%d%d)%-(%d%d)%-(%d%d)T(%d%d):(%d%d):(%d%d)%.%d%d%dZ"'
local STAMP_BYTES = #'"lastRuntimePublishedAt":"2026-01-01T00:00:00.000Z",'
local DAYS = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 }

-- Returns true if there is such a moment: the runtime refuses a config with another.
local function is_moment(year, month, day, hour, minute, second)
  if not year then return false end
  year, month, day = tonumber(year), tonumber(month), tonumber(day)
  local leap = year % 4 == 0 and (year % 100 ~= 0 or year % 400 == 0)
  local days = month == 2 and leap and 29 or DAYS[month]
  return days and day >= 1 and day <= days and tonumber(hour) < 24 and tonumber(minute) < 60 and tonumber(second) < 60
end

-- Returns a config without its member `lastRuntimePublishedAt`; nothing if that is neither its first member nor its last,
-- or no stamp of the platform's control plane. Nothing is decoded.
local function unstamped(config)
  local head, tail = string.sub(config, 1, STAMP_BYTES + 1), string.sub(config, -STAMP_BYTES - 1)
  if is_moment(string.match(head, '^{' .. STAMP .. ',$')) then
    return '{' .. string.sub(config, STAMP_BYTES + 2)
  elseif is_moment(string.match(tail, '^,' .. STAMP .. '}$')) then
    return string.sub(config, 1, -STAMP_BYTES - 2) .. '}'
  end
end

-- Returns true if a control plane has stored the config again, with its own stamp and no other change.
local function differs_in_stamp_alone(stored, config)
  if math.abs(#stored - #config) > STAMP_BYTES or #stored > MAX_DECODED then return false end
  local rest = unstamped(stored)
  return rest ~= nil and rest == (unstamped(config) or config)
end
