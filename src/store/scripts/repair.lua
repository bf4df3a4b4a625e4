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

local current = count(text(KEYS[1], MAX_DIGITS))
if own('HGET', KEYS[2], ARGV[2]) ~= ARGV[1] or current ~= highest_epoch(KEYS[2]) then
  return { -1, current and string.format('%.0f', current) or '' }
end

local tenant = ARGV[3]
local record = fields_of(tenant)
if not record then return { 0 } end
for i, name in ipairs({ 'cluster', 'uid', 'generation', 'secret', 'hash', 'dids' }) do
  if record[name] ~= ARGV[3 + i] then return { 0 } end
end
if not is_recorded(text(KEYS[5], MAX_CONFIG), record) then return { 0 } end

local function removed_expiry(key)
  return optional('PERSIST', key) == 1 and 1 or 0
end

local repairs, nth = removed_expiry(KEYS[5]) + removed_expiry(KEYS[4]), 5
for did in string.gmatch(record.dids, '%S+') do
  nth = nth + 1
  if own('HGET', KEYS[3], did) == tenant then
    if text(KEYS[nth], MAX_TENANT) ~= tenant then
      redis.call('SET', KEYS[nth], tenant)
      repairs = repairs + 1
    else
      repairs = repairs + removed_expiry(KEYS[nth])
    end
  end
end
return { repairs }
