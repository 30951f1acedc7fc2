#!/usr/bin/env bash
# eureka-js-client 4.5.0 and @rocketsoftware/eureka-js-client 4.5.9, with `shouldUseDelta: true`
#
# An instance that goes is announced in /apps/delta with actionType DELETED. The client then removes the FIRST instance of
# the application from its cache by application id, whichever instance is gone: getInstancesByAppId() still returns the
# one that is gone, and an instance that is up is lost for good,since the client never reads the full registry again. Its
# cache by VIP address is right.
#
# In lib/EurekaClient.js deleteInstance() finds the index in cache.app and then calls
# `cache.app[appName].splice(cache.vip[instance.vipAddress], 1)`: an array where a number belongs, which counts as 0.
# modifyInstance() has the same slip: it puts a changed instance over the first one.
#
# Seen with Node 20 (of w1 and w2, w2 went, so w1 should be left):
#
#   eureka-js-client: by app: w2; by vip: w1
#   @rocketsoftware/eureka-js-client: by app: w2; by vip: w1
#
# Exits with 0 while this is so. Needs node and npm.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts eureka-js-client@4.5.0 @rocketsoftware/eureka-js-client@4.5.9

cat >run.js <<'JS'
const http = require('http');
const { Eureka } = require(process.argv[2]);

const instance = (id, actionType) => ({
  instanceId: id, hostName: id, app: 'WEB', ipAddr: '10.0.0.1', status: 'UP', vipAddress: 'web',
  port: { $: 80, '@enabled': 'true' }, dataCenterInfo: { name: 'MyOwn' }, ...(actionType && { actionType }),
});
const document = (hash, ...instances) => JSON.stringify({ applications: {
  versions__delta: '1', apps__hashcode: hash, application: instances.length ? [{ name: 'WEB', instance: instances }] : [],
} });

const server = http.createServer((request, response) => {
  response.setHeader('Content-Type', 'application/json');
  // Everything first: w1 and w2 are up. The delta then says that w2 went.
  response.end(request.url.endsWith('/delta') ? document('UP_1_', instance('w2', 'DELETED'))
                                              : document('UP_2_', instance('w1'), instance('w2')));
});
server.listen(0, '127.0.0.1', () => {
  const client = new Eureka({
    instance: { app: 'me', hostName: 'me', ipAddr: '127.0.0.1', vipAddress: 'me', port: { $: 1, '@enabled': true },
                dataCenterInfo: { name: 'MyOwn' } },
    eureka: { host: '127.0.0.1', port: server.address().port, servicePath: '/eureka/v2/apps/' },
    shouldUseDelta: true,
  });
  client.logger.level(100);
  client.fetchRegistry(() => client.fetchRegistry(() => {
    const ids = (found) => found.map((one) => one.instanceId).join(' ');
    console.log(`by app: ${ids(client.getInstancesByAppId('web'))}; by vip: ${ids(client.getInstancesByVipAddress('web'))}`);
    process.exit(0);
  }));
});
JS

for name in eureka-js-client @rocketsoftware/eureka-js-client; do
    seen=$(timeout 60 node run.js "$name")
    echo "$name: $seen"
    [[ $seen == "by app: w2; by vip: w1" ]] || { echo "this behaviour has changed"; exit 1; }
done
