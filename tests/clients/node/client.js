// SPDX-License-Identifier: Apache-2.0
// node-sugarcrm-client 0.9.3, unmodified, against a legacy endpoint: what its README shows, and
// lists, relationships and deletes. Writes one JSON object; run with NODE_PATH at its modules.
'use strict';

const sugar = require('node-sugarcrm-client');
const [url, user, password] = process.argv.slice(2);
sugar.init({ apiURL: url, login: user, passwd: password });

const login = () => new Promise((resolve) => sugar.login(resolve));
const call = (method, params) => new Promise((resolve, reject) =>
  sugar.call(method, params, (res, err) => (err ? reject(new Error(JSON.stringify(err))) : resolve(res))));

async function main() {
  const found = { config: sugar.configInfo(), session: await login() };
  const session = found.session;
  const set = (module_name, values) => call('set_entry', {
    session, module_name, name_value_list: Object.entries(values).map(([name, value]) => ({ name, value })) });
  const get = (module_name, id, links) => call('get_entry', {
    session, module_name, id, select_fields: ['id', 'name', 'first_name', 'last_name', 'title', 'phone_work'],
    link_name_to_fields_array: links || [] });

  found.account = await set('Accounts', { name: 'Account from Node-SugarCRM-Client' });
  found.contact = await set('Contacts', { first_name: 'Daneel', last_name: 'Olivaw', title: 'R.', phone_work: '555-2368' });
  found.read = await get('Contacts', found.contact.id);
  found.relate = await call('set_relationship', { session, module_name: 'Accounts', module_id: found.account.id,
    link_field_name: 'contacts', related_ids: [found.contact.id] });
  found.related = await call('get_relationships', { session, module_name: 'Accounts', module_id: found.account.id,
    link_field_name: 'contacts', related_module_query: '', related_fields: ['id', 'last_name'],
    related_module_link_name_to_fields_array: [], deleted: '0' });
  found.linked = await get('Accounts', found.account.id, [{ name: 'contacts', value: ['id', 'last_name'] }]);
  found.list = await call('get_entry_list', { session, module_name: 'Accounts',
    query: "accounts.name = 'Account from Node-SugarCRM-Client'", order_by: '', offset: '0',
    select_fields: ['id', 'name'], link_name_to_fields_array: [], max_results: -1, deleted: '0', Favorites: false });
  found.changed = await set('Contacts', { id: found.contact.id, title: 'Detective' });
  found.reread = await get('Contacts', found.contact.id);
  found.removed = await set('Contacts', { id: found.contact.id, deleted: 1 });
  found.gone = await get('Contacts', found.contact.id);
  found.nonsense = await call('no_such_method', { session });
  process.stdout.write(JSON.stringify(found) + '\n');
}

main().catch((error) => {
  process.stderr.write(String(error && error.stack) + '\n');
  process.exitCode = 1;
});
