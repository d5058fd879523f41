// The Lambda runtime client for Node.js handlers: the loop between our Lambda Runtime API and a function's code.
//
//   node node.mjs [module.handler]          (else _HANDLER), with AWS_LAMBDA_RUNTIME_API=HOST:PORT and LAMBDA_TASK_ROOT=folder
//
// Node 18 or newer, no dependencies. A handler is what AWS accepts: async, returning a promise, calling its third argument, or plain
// synchronous code; exported from a .js, .mjs or .cjs file. Errors are {errorType, errorMessage, trace}; undefined results are null.
// Console lines are TIME\tREQUESTID\tLEVEL\tmessage, with line breaks inside a message as \r, so one call is one log line.
// An error while loading is posted to init/error, then the process exits 1. An uncaught exception or unhandled rejection fails the
// invocation in hand as Runtime.UnhandledPromiseRejection or with its own type, and ends the process, exit 128 + 1, as AWS's client does.
// Any answer of the API outside 2xx ends the process: it belongs to a server that is gone, and the next server starts its own.

import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import util from 'node:util';

const API_VERSION = '2018-06-01';
const ERROR_HEADER_BYTES_MAX = 512 * 1024;

const [apiHost, apiPort] = splitHost(process.env.AWS_LAMBDA_RUNTIME_API ?? '');
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
const state = { requestId: undefined };

function splitHost(text) {
  const at = text.lastIndexOf(':');
  return at < 0 ? [text, 80] : [text.slice(0, at), Number(text.slice(at + 1))];
}

// ------------------------------------------------------------------------------------------------ Runtime API

function call(method, route, body, headers = {}) {
  return new Promise((resolve, reject) => {
    const options = { host: apiHost, port: apiPort, method, path: `/${API_VERSION}/runtime/${route}`, agent, headers: { ...headers } };
    if (body !== undefined) {
      options.headers['Content-Type'] ??= 'application/json';
      options.headers['Content-Length'] = Buffer.byteLength(body);
    }
    const request = http.request(options, (response) => {
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        if (response.statusCode < 200 || response.statusCode > 299) {
          reject(new Error(`the Runtime API answered ${response.statusCode} to ${method} ${route}`));
        } else {
          resolve({ headers: response.headers, body: Buffer.concat(chunks).toString('utf8') });
        }
      });
    });
    request.on('error', reject);
    request.end(body);
  });
}

function named(type, message) {
  const error = new Error(message);
  error.name = type;
  return error;
}

function describe(thrown) {
  if (util.types.isNativeError(thrown) || thrown instanceof Error) {
    const type = String(thrown.name || thrown.constructor?.name || 'Error');
    const message = String(thrown.message ?? '');
    // The trace starts with "name: message"; a name set later than the stack was captured is put right.
    const trace = String(thrown.stack ?? '').split('\n');
    const frames = trace.findIndex((line) => /^\s+at /.test(line));
    return { errorType: type, errorMessage: message, trace: [`${type}: ${message}`, ...(frames < 0 ? [] : trace.slice(frames))] };
  }
  return { errorType: typeof thrown, errorMessage: typeof thrown === 'string' ? thrown : String(util.inspect(thrown)), trace: [] };
}

// The cause header may hold ASCII only: everything else is escaped, as JSON allows.
function xrayCause(description) {
  const cause = {
    working_directory: process.cwd(),
    exceptions: [{ type: description.errorType, message: description.errorMessage, stack: description.trace.slice(1, 100).map((label) => ({ path: '', line: 0, label: label.trim() })) }],
    paths: [],
  };
  const text = JSON.stringify(cause).replace(/[\u007f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
  return text.length > ERROR_HEADER_BYTES_MAX ? '{}' : text;
}

function errorHeaders(description) {
  const type = description.errorType.replace(/[^\x21-\x7e]/g, '?');
  return { 'Lambda-Runtime-Function-Error-Type': type, 'Lambda-Runtime-Function-XRay-Error-Cause': xrayCause(description) };
}

async function postError(route, thrown) {
  const description = describe(thrown);
  await call('POST', route, JSON.stringify(description), errorHeaders(description));
}

// ------------------------------------------------------------------------------------------------ logs

function patchConsole() {
  const write = (stream, level) => (...parts) => {
    const text = util.format(...parts).replace(/\n/g, '\r');
    fs.writeSync(stream, `${new Date().toISOString()}\t${state.requestId ?? 'undefined'}\t${level}\t${text}\n`);
  };
  console.log = write(1, 'INFO');
  console.info = write(1, 'INFO');
  console.debug = write(1, 'DEBUG');
  console.trace = (...parts) => {
    const here = { name: 'Trace', message: util.format(...parts) };
    Error.captureStackTrace(here, console.trace);
    write(1, 'TRACE')(here.stack);
  };
  console.warn = write(1, 'WARN');
  console.error = write(1, 'ERROR');
}

// ------------------------------------------------------------------------------------------------ loading the handler

async function loadHandler(name, root) {
  const base = path.basename(name);
  const dot = base.indexOf('.');
  if (dot <= 0 || dot === base.length - 1) {
    throw named('Runtime.MalformedHandlerName', `Bad handler ${name}`);
  }
  if (name.includes('..')) {
    throw named('Runtime.MalformedHandlerName', `'${name}' is not a valid handler name. Use absolute paths when specifying root directories in handler names.`);
  }
  const [module, ...exported] = [base.slice(0, dot), ...base.slice(dot + 1).split('.')];
  const stem = path.resolve(root, path.dirname(name), module);
  const file = ['', '.js', '.mjs', '.cjs'].map((ending) => stem + ending).find((candidate) => fs.statSync(candidate, { throwIfNoEntry: false })?.isFile());
  if (!file) {
    throw named('Runtime.ImportModuleError', `Error: Cannot find module '${module}'\nRequire stack:\n- ${path.join(root, 'index.mjs')}`);
  }
  let loaded;
  try {
    loaded = await import(pathToFileURL(file).href);
  } catch (error) {
    if (error instanceof SyntaxError) {
      throw named('Runtime.UserCodeSyntaxError', `SyntaxError: ${error.message}`);
    }
    if (error?.code === 'ERR_MODULE_NOT_FOUND' || error?.code === 'MODULE_NOT_FOUND') {
      throw named('Runtime.ImportModuleError', `Error: ${error.message}`);
    }
    throw error;
  }
  // A CommonJS module's exports are its default export, of which Node lists only those that it could see.
  const found = exported.reduce((place, key) => place?.[key], loaded) ?? exported.reduce((place, key) => place?.[key], loaded.default);
  if (found === undefined) {
    throw named('Runtime.HandlerNotFound', `${name} is undefined or not exported`);
  }
  if (typeof found !== 'function') {
    throw named('Runtime.HandlerNotFound', `${name} is not a function`);
  }
  return found;
}

// ------------------------------------------------------------------------------------------------ invocations

function makeContext(headers, done) {
  const deadline = Number(headers['lambda-runtime-deadline-ms']);
  const parsed = (name) => (headers[name] ? JSON.parse(headers[name]) : undefined);
  return {
    callbackWaitsForEmptyEventLoop: true,
    functionVersion: process.env.AWS_LAMBDA_FUNCTION_VERSION,
    functionName: process.env.AWS_LAMBDA_FUNCTION_NAME,
    memoryLimitInMB: process.env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    logGroupName: process.env.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: process.env.AWS_LAMBDA_LOG_STREAM_NAME,
    clientContext: parsed('lambda-runtime-client-context'),
    identity: parsed('lambda-runtime-cognito-identity'),
    invokedFunctionArn: headers['lambda-runtime-invoked-function-arn'],
    awsRequestId: headers['lambda-runtime-aws-request-id'],
    getRemainingTimeInMillis: () => deadline - Date.now(),
    succeed: (result) => done(null, result),
    fail: (error) => done(error ?? 'handled'),
    done,
  };
}

// Settles once, by whichever comes first: the returned promise, the callback, context.done and its kin, a plain value, or an event
// loop with nothing left to do, which means null. The callback's answer waits for that empty loop unless the context says otherwise.
function run(handler, event, headers) {
  return new Promise((resolve, reject) => {
    let onEmpty = () => resolve(null);
    const empty = () => onEmpty();
    process.on('beforeExit', empty);
    const release = (settle) => (value) => {
      process.off('beforeExit', empty);
      settle(value);
    };
    [resolve, reject] = [release(resolve), release(reject)];
    const done = (error, result) => (error === null || error === undefined ? resolve(result) : reject(error));
    const context = makeContext(headers, done);
    const callback = (error, result) => {
      if (context.callbackWaitsForEmptyEventLoop) {
        onEmpty = () => done(error, result);
      } else {
        done(error, result);
      }
    };
    try {
      const returned = handler(event, context, callback);
      if (typeof returned?.then === 'function') {
        returned.then(resolve, reject);
      } else if (returned !== undefined && handler.length < 3) {
        resolve(returned);
      }
    } catch (error) {
      reject(error);
    }
  });
}

function stringify(result) {
  try {
    return JSON.stringify(result === undefined ? null : result) ?? 'null';
  } catch (error) {
    throw named('Runtime.MarshalError', `Unable to stringify response body: ${error.message}`);
  }
}

async function serveOne(handler) {
  const { headers, body } = await call('GET', 'invocation/next');
  const id = headers['lambda-runtime-aws-request-id'];
  state.requestId = id;
  process.env._X_AMZN_TRACE_ID = headers['lambda-runtime-trace-id'] ?? '';
  let answer;
  try {
    let event;
    try {
      event = JSON.parse(body);
    } catch (error) {
      throw named('Runtime.UnmarshalError', `Unable to unmarshal input: ${error.message}`);
    }
    answer = stringify(await run(handler, event, headers));
  } catch (error) {
    console.error('Invoke Error', JSON.stringify(describe(error)));
    await postError(`invocation/${id}/error`, error);
    state.requestId = undefined;
    return;
  }
  await call('POST', `invocation/${id}/response`, answer);
  state.requestId = undefined;
}

// What nobody caught: the invocation in hand fails with it, and the process ends, because its state cannot be trusted any more.
function dieOf(kind) {
  return async (thrown) => {
    const error = kind ? named(kind, String(thrown)) : thrown;
    fs.writeSync(2, `${new Date().toISOString()}\t${state.requestId ?? 'undefined'}\tERROR\t${kind ?? 'Uncaught Exception'} \t${JSON.stringify(describe(error))}\n`);
    const route = state.requestId ? `invocation/${state.requestId}/error` : 'init/error';
    await postError(route, error).catch(() => {});
    process.exit(129);
  };
}

async function main() {
  const name = process.argv[2] ?? process.env._HANDLER ?? '';
  patchConsole();
  process.on('uncaughtException', dieOf());
  process.on('unhandledRejection', dieOf('Runtime.UnhandledPromiseRejection'));
  let handler;
  try {
    handler = await loadHandler(name, process.env.LAMBDA_TASK_ROOT ?? process.cwd());
  } catch (error) {
    await postError('init/error', error).catch(() => {});
    fs.writeSync(2, `${new Date().toISOString()}\tundefined\tERROR\tInit Error\t${JSON.stringify(describe(error))}\n`);
    process.exit(1);
  }
  for (;;) {
    try {
      await serveOne(handler);
    } catch (error) {
      fs.writeSync(2, `runtime: ${error.message}\n`);
      process.exit(1);
    }
  }
}

main();
