-- Runs every command that a publish needs, and changes nothing: so that a replica knows before it leads whether Redis
-- would let it publish. Where a command is denied, or Redis takes no writes, the call fails as a publish would.
--
-- KEYS  1  the epoch: a counter
--       2  the epochs of the writers: a hash
--       3  a key of the operator that holds nothing between two calls
--       4  a config's key that no tenant can have
--       5  a mapping's key that no DID can have
-- Reply 1

-- Nothing is written where there is no key to write to (XX), and nothing removed where there is none.
for i = 4, 5 do
  redis.call('GET', KEYS[i])
  redis.call('MGET', KEYS[i])
  redis.call('SET', KEYS[i], '', 'XX')
  redis.call('DEL', KEYS[i])
end
redis.call('HMGET', KEYS[3], 'f')
redis.call('HVALS', KEYS[3])
redis.call('HDEL', KEYS[3], 'f')
redis.call('SREM', KEYS[3], 'm')
redis.call('SISMEMBER', KEYS[3], 'm')
redis.call('SMEMBERS', KEYS[3])

-- These have no form that writes nothing. On a value of another type they fail, after they were allowed: the counter is no
-- hash and no set, the hash no counter. Where the two are not there, as after a flush, a value is made that no client sees.
local function is_of_another_type(command, key, ...)
  local reply = redis.pcall(command, key, ...)
  return type(reply) == 'table' and reply.err ~= nil and string.find(reply.err, 'WRONGTYPE', 1, true) ~= nil
end
local made = not (is_of_another_type('HGET', KEYS[1], 'f') and is_of_another_type('SISMEMBER', KEYS[1], 'm')
  and is_of_another_type('GET', KEYS[2]))
local counter, hash = KEYS[1], KEYS[2]
if made then
  redis.call('SET', KEYS[3], 'x')
  counter, hash = KEYS[3], KEYS[3]
end
local denied
for _, command in ipairs({ { 'INCR', hash }, { 'SADD', counter, 'm' }, { 'HSET', counter, 'f', 'v' } }) do
  local reply = redis.pcall(unpack(command))
  local why = type(reply) == 'table' and reply.err or ''
  for _, text in ipairs({ 'NOPERM', "can't run", 'ACL failure' }) do
    if string.find(why, text, 1, true) then denied = denied or reply end
  end
end
if made then redis.call('DEL', KEYS[3]) end
return denied or 1
