// Where the load goes, and what every script has in common. All of it comes from
// the environment: see ../../README.md.

const env = __ENV;

export const host = env.HOST || 'hello.nginx.com';
export const path = env.REQUEST_PATH || '/';
export const http = `http://${host}`;
export const https = `https://${host}`;

/** A number from the environment. */
export function number(name, otherwise) {
  const text = env[name];
  if (text === undefined || text === '') return otherwise;
  const value = Number(text);
  if (!Number.isFinite(value) || value < 0) throw new Error(`${name}=${text} is no number`);
  return value;
}

/** A duration such as 30s, 5m or 1h from the environment. */
export function duration(name, otherwise) {
  const text = env[name] || otherwise;
  if (!/^([0-9]+(ms|s|m|h))+$/.test(text)) throw new Error(`${name}=${text} is no duration such as 30s, 5m or 1h`);
  return text;
}

/** Options for every script: names lead to the address under test, without DNS. */
export function common(more) {
  const hosts = {};
  if (env.ADDRESS) hosts[`${host}:80`] = withPort(env.ADDRESS, 80);
  if (env.TLS_ADDRESS) hosts[`${host}:443`] = withPort(env.TLS_ADDRESS, 443);
  return {
    hosts,
    insecureSkipTLSVerify: env.VERIFY !== 'true',
    discardResponseBodies: true,
    summaryTrendStats: ['avg', 'min', 'med', 'p(90)', 'p(95)', 'p(99)', 'p(99.9)', 'max', 'count'],
    userAgent: 'tidegate-loadtest',
    ...more,
  };
}

function withPort(address, port) {
  return /:[0-9]+$/.test(address) ? address : `${address}:${port}`;
}

/** Limits for scripts that send plain requests. */
export function thresholds(more) {
  return {
    checks: ['rate==1'],
    http_req_failed: [`rate<=${number('MAX_FAILED', 0)}`],
    http_req_duration: [`p(99)<${number('MAX_P99', 250)}`],
    ...more,
  };
}

/** A fixed rate of requests, whatever the answers do. */
export function arrivals(rate, time) {
  return {
    executor: 'constant-arrival-rate',
    rate,
    timeUnit: '1s',
    duration: time,
    preAllocatedVUs: number('VUS', Math.max(10, Math.ceil(rate / 10))),
    maxVUs: number('MAX_VUS', Math.max(50, rate)),
  };
}
