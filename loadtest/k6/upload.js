// Request bodies of SIZE bytes. The Ingress must allow them
// (nginx.ingress.kubernetes.io/proxy-body-size).

import http from 'k6/http';
import { check } from 'k6';
import * as target from './lib/target.js';
import { summary } from './lib/summary.js';

const size = target.number('SIZE', 1024 * 1024);
const body = new Uint8Array(size).fill(0x61).buffer;
const expected = target.number('STATUS', 200);

export const options = target.common({
  scenarios: {
    upload: {
      executor: 'constant-vus',
      vus: target.number('VUS', 8),
      duration: target.duration('DURATION', '30s'),
    },
  },
  thresholds: target.thresholds({ http_req_duration: [`p(99)<${target.number('MAX_P99', 2000)}`] }),
});

http.setResponseCallback(http.expectedStatuses(expected));

export default function () {
  const answer = http.post((__ENV.TLS === 'true' ? target.https : target.http) + target.path, body, {
    headers: { 'Content-Type': 'application/octet-stream' },
  });
  check(answer, { [`status ${expected}`]: ({ status }) => status === expected });
}

export const handleSummary = summary('upload');
