-- wrk … -s wrk.lua URL -- METHOD BYTES: sends a body of so many bytes, and says at the end what happened as JSON.

function init(args)
   wrk.method = args[1]
   if tonumber(args[2]) > 0 then
      wrk.body = string.rep("x", tonumber(args[2]))
      wrk.headers["Content-Type"] = "application/octet-stream"
   end
end

function done(summary, latency, requests)
   local errors = summary.errors
   io.write(string.format(
      '\n{"requests": %d, "seconds": %.6f, "bytes": %d, "p50": %.3f, "p90": %.3f, "p99": %.3f, "errors": %d}\n',
      summary.requests,
      summary.duration / 1e6,
      summary.bytes,
      latency:percentile(50) / 1e3,
      latency:percentile(90) / 1e3,
      latency:percentile(99) / 1e3,
      errors.connect + errors.read + errors.write + errors.status + errors.timeout
   ))
end
