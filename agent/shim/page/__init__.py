"""The page's side: `shim.js` replaces `WebSocket`; `script` fills in the path where the agent answers, and hashes."""
