-- ask: setups {destination → setup} -> how many open circuits may be probed now, and ends be sent again: they met another setup
local any = 0
for name, setup in pairs(ask.setups) do
  local door = key("destination", name)
  local h = redis.call("HMGET", door, "open_until", "setup")
  if h[1] and h[2] ~= setup then
    redis.call("HSET", door, "open_until", string.format("%.0f", math.min(tonumber(h[1]), now)), "setup", setup)
    wake(name)
    any = any + 1
  end
  any = any + revive(name, setup)
end
if any > 0 then ring("posts") end
return any
