// What people write instead: the handler of the platform's documentation (express.json(),
// a switch over the payload's type), with the block list of start-gate for its decision.
// Left out are the documentation's console.log of each webhook and its check of the
// signature, which would only make it slower.
//
// Prints its address, and serves until it is killed.
'use strict';

const express = require('express');

const blocked = new Set(['+14155550666']);

function answer(payload) {
  switch (payload.type) {
    case 'StartWebHookPayload':
      return blocked.has(payload.sip?.fromUser ?? payload.endpoint)
        ? { accept: false, reasonMessage: 'This number is blocked.' }
        : { accept: true };
    default:
      return { received: true };
  }
}

const app = express();
app.use(express.json());

app.post('/hooks/:source', async (req, res) => {
  try {
    res.status(200).json(answer(req.body));
  } catch (error) {
    console.error('Webhook processing error:', error);
    res.status(500).json({ error: 'Processing failed' });
  }
});

const server = app.listen(0, '127.0.0.1', () => {
  console.log(`http://127.0.0.1:${server.address().port}`);
});
