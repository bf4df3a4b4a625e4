-- Repairs what the operator's own records prove, for a tenant whose resource can't be read: mappings that are
-- missing or lead elsewhere, and an expiry on the tenant's keys. Never a config, never a record.
--
-- Only where the record is the one that the caller knows, and the config the one that the record describes; and only the
-- DIDs that the record and the index of DIDs both list.
--
-- KEYS  1  the epoch: a counter
--       2  a hash: writer -> `<epoch>/<process id>`, the epoch that it acquired last
--       3  a hash: DID -> the tenant that owns it
--       4  the tenant's record
--       5  the tenant's config
--       6… the mapping of each DID
-- ARGV  1  the caller's epoch, as `<epoch>/<process id>`
--       2  the writer
--       3  the tenant
--       4… cluster, uid, generation, secret, hash and DIDs of the known record
-- Reply {-1, current epoch or ''} where the epoch is not the current one, else {the number of repairs}

local current, highest = redis.call('GET', KEYS[1]), 0
for _, acquired in ipairs(redis.call('HVALS', KEYS[2])) do
  highest = math.max(highest, tonumber(string.match(acquired, '^%d+')) or 0)
end
if redis.call('HGET', KEYS[2], ARGV[2]) ~= ARGV[1] or tonumber(current) ~= highest then
  return { -1, current or '' }
end

local tenant = ARGV[3]
local record = redis.call('HMGET', KEYS[4], 'cluster', 'uid', 'generation', 'secret', 'hash', 'dids', 'sha1')
for i = 1, 6 do
  if record[i] ~= ARGV[3 + i] then return { 0 } end
end
-- MGET and not GET: a key of another type is read as absent.
local config = redis.call('MGET', KEYS[5])[1]
if not config or redis.sha1hex(config) ~= record[7] then return { 0 } end

-- A user that may not run it has no expiry repaired; all else goes on.
local function persist(key)
  return redis.pcall('PERSIST', key) == 1 and 1 or 0
end

local repairs, nth = persist(KEYS[5]) + persist(KEYS[4]), 5
for did in string.gmatch(record[6], '%S+') do
  nth = nth + 1
  if redis.call('HGET', KEYS[3], did) == tenant then
    if redis.call('MGET', KEYS[nth])[1] ~= tenant then
      redis.call('SET', KEYS[nth], tenant)
      repairs = repairs + 1
    else
      repairs = repairs + persist(KEYS[nth])
    end
  end
end
return { repairs }
