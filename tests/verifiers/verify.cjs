// Verifies a request, given as JSON on standard input, as a receiver would.

const { readFileSync } = require("node:fs");
const { Webhook } = require("standardwebhooks");

const request = JSON.parse(readFileSync(0, "utf8"));
new Webhook(request.secret).verify(request.body, request.headers);
