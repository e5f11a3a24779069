// SPDX-License-Identifier: GPL-3.0-or-later
// What npm's CMCD validator (CTA-5004) says of requests: a list of {url, fields} in the file of its argument, a line for each complaint out.
// A request that says nothing to it is one, too.
import { readFileSync } from 'node:fs'
import validator from '@montevideo-tech/cmcd-validator'

const plain = value => value.replace(/"[^"]*"/g, text => text.replaceAll(':', '_')) // it takes the field for ended at a colon in a text
const spelt = name => name.replace(/^cmcd-(.)/, (_, first) => 'CMCD-' + first.toUpperCase())
console.log = console.info = console.debug = console.warn = () => {} // it tells each step
for (const { url, fields } of JSON.parse(readFileSync(process.argv[2]))) {
  const head = 'GET / HTTP/1.1\n' + Object.entries(fields).map(([name, value]) => `${spelt(name)}: ${plain(value)}`).join('\n')
  const said = url.includes('CMCD=') ? validator.CMCDQueryValidator(url) : validator.CMCDHeaderValidator(head)
  for (const e of said.errors)
    process.stdout.write(`${e.type} ${e.key} ${JSON.stringify(e.value)} ${e.description} in ${url} ${JSON.stringify(fields)}\n`)
}
