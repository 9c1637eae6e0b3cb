// The DuckDB peer: peer.js FILE. Takes a command a line on standard input, answers with a line.
//
//   load DIR       reads DIR/*.csv into native tables: TABLE.csv, whose first line names the columns
//                  and their types
//   run SQL        executes a statement and answers with the milliseconds it took
//   quit
//
// A statement's newlines arrive as form feeds. The answer is "ok ..." or "error ...".
'use strict';

const fs = require('fs');
const path = require('path');
const readline = require('readline');
const { DuckDBInstance } = require('@duckdb/node-api');

async function load(connection, dir) {
    for (const file of fs.readdirSync(dir).filter((name) => name.endsWith('.csv')).sort()) {
        const table = path.basename(file, '.csv');
        const columns = fs.readFileSync(path.join(dir, `${table}.columns`), 'utf8').trim();
        await connection.run(`CREATE OR REPLACE TABLE ${table} (${columns})`);
        await connection.run(`COPY ${table} FROM '${path.join(dir, file)}' (FORMAT csv, HEADER false)`);
    }
    await connection.run('CHECKPOINT');
    return 'loaded';
}

async function run(connection, sql) {
    const begin = process.hrtime.bigint();
    await connection.runAndReadAll(sql);
    return (Number(process.hrtime.bigint() - begin) / 1e6).toFixed(3);
}

async function main() {
    const instance = await DuckDBInstance.create(process.argv[2], { threads: '2' });
    const connection = await instance.connect();
    await connection.run("SET TimeZone = 'UTC'");
    for await (const line of readline.createInterface({ input: process.stdin })) {
        const [command, rest] = [line.split(' ', 1)[0], line.slice(line.indexOf(' ') + 1).replaceAll('\f', '\n')];
        if (command === 'quit') {
            break;
        }
        try {
            const answer = command === 'load' ? await load(connection, rest) : await run(connection, rest);
            console.log(`ok ${answer}`);
        } catch (error) {
            console.log(`error ${String(error.message).replaceAll('\n', ' ')}`);
        }
    }
    connection.closeSync();
    instance.closeSync();
}

main();
