// A new connection with a full TLS handshake for every request: what certificates
// and key exchange cost. TLS_VERSION=tls1.2 or tls1.3 asks for one version.

import * as target from './lib/target.js';
import { get } from './lib/request.js';
import { summary } from './lib/summary.js';

const version = __ENV.TLS_VERSION;

export const options = target.common({
  scenarios: {
    tls: {
      executor: 'constant-vus',
      vus: target.number('VUS', 8),
      duration: target.duration('DURATION', '30s'),
    },
  },
  noConnectionReuse: true,
  ...(version ? { tlsVersion: { min: version, max: version } } : {}),
  thresholds: target.thresholds({
    http_req_tls_handshaking: [`p(99)<${target.number('MAX_HANDSHAKE_P99', 250)}`],
    http_req_duration: [`p(99)<${target.number('MAX_P99', 500)}`],
  }),
});

export default function () {
  get(target.https + target.path);
}

export const handleSummary = summary('tls');
