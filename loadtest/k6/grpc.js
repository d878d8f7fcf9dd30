// Unary calls of gRPC over TLS, by default of the standard health check, which
// most servers have. The Ingress needs nginx.ingress.kubernetes.io/backend-protocol: GRPC.

import exec from 'k6/execution';
import grpc from 'k6/net/grpc';
import { check, sleep } from 'k6';
import * as target from './lib/target.js';
import { summary } from './lib/summary.js';

const method = __ENV.METHOD || 'grpc.health.v1.Health/Check';
const message = JSON.parse(__ENV.MESSAGE || '{}');
const client = new grpc.Client();
client.load(['proto'], __ENV.PROTO || 'health.proto');

export const options = target.common({
  scenarios: {
    grpc: {
      executor: 'constant-vus',
      vus: target.number('VUS', 10),
      duration: target.duration('DURATION', '30s'),
    },
  },
  thresholds: {
    checks: ['rate==1'],
    grpc_req_duration: [`p(99)<${target.number('MAX_P99', 250)}`],
  },
});

// One connection for each client: calls are streams on it.
let connected = false;

export default function () {
  connected = connected || connect();
  if (!connected) return;
  check(call(), { 'status OK': ({ status }) => status === grpc.StatusOK });
}

function connect() {
  try {
    client.connect(`${target.host}:443`, { timeout: '10s' });
    return true;
  } catch (error) {
    check(error, { connected: () => false });
    sleep(0.1);
    return false;
  }
}

function call() {
  try {
    return client.invoke(method, message);
  } catch (error) {
    // A method or message that PROTO does not know: every call would fail.
    return exec.test.abort(`${method}: ${error}`);
  }
}

export const handleSummary = summary('grpc');
