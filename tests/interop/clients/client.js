// SPDX-License-Identifier: GPL-2.0
// client.js HOST PORT CA VERSION MODE: fetches the page; resumed: twice.
'use strict';
const assert = require('assert');
const fs = require('fs');
const tls = require('tls');

const [host, port, ca, version, mode] = process.argv.slice(2);

function fetch(session) {
	return new Promise((resolve, reject) => {
		let ticket;
		let page = '';
		// With both families to try it would forget to tell of sessions.
		const options = {
			family: 4, host, port, servername: host, ca: fs.readFileSync(ca),
			minVersion: 'TLSv' + version, maxVersion: 'TLSv' + version,
		};
		if (session)
			options.session = session;
		const socket = tls.connect(options, () => socket.write('GET / HTTP/1.0\r\n\r\n'));
		socket.on('session', (data) => { ticket = data; });
		socket.on('data', (data) => { page += data; });
		socket.on('error', reject);
		socket.on('end', () => {
			assert(page.startsWith('HTTP/1.1 200 OK\r\n'));
			assert(page.endsWith('x'.repeat(1024)));
			assert.strictEqual(socket.isSessionReused(), session !== undefined);
			resolve(ticket);
		});
	});
}

(async () => {
	const ticket = await fetch();
	if (mode === 'resumed') {
		assert(ticket);
		await fetch(ticket);
	}
})().catch((error) => {
	console.error(error.message);
	process.exit(1);
});
