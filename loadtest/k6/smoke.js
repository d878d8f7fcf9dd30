// Does it answer at all? One client, a few requests of each kind. Run it before
// any other script: a load test of error pages is fast and says nothing.

import http from 'k6/http';
import { check } from 'k6';
import * as target from './lib/target.js';
import { summary } from './lib/summary.js';

export const options = target.common({
  vus: 1,
  iterations: target.number('ITERATIONS', 5),
  thresholds: { checks: ['rate==1'] },
});

// The 404 below is wanted.
http.setResponseCallback(http.expectedStatuses({ min: 200, max: 499 }));

export default function () {
  const plain = http.get(target.http + target.path, { redirects: 0 });
  check(plain, {
    'plain: an answer': ({ status }) => status > 0,
    'plain: no error of the gateway': ({ status }) => status < 500 && status !== 404,
  });
  const missing = http.get(`${target.http}/`, { headers: { Host: 'nobody.invalid' } });
  check(missing, { 'unknown host: 404': ({ status }) => status === 404 });
  if (__ENV.TLS_ADDRESS || __ENV.TLS === 'true') {
    const secure = http.get(target.https + target.path);
    check(secure, {
      'tls: no error of the gateway': ({ status }) => status > 0 && status < 500 && status !== 404,
      'tls: HTTP/2': ({ proto }) => proto === 'HTTP/2.0',
      'tls: 1.3': ({ tls_version }) => tls_version === 'tls1.3',
    });
  }
}

export const handleSummary = summary('smoke');
