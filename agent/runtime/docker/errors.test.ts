import { expect, test } from 'vitest'
import { TimeoutError } from '../../../lib/async.ts'
import { pullError, runcWords, runtimeError, startError } from './errors.ts'

const http = (statusCode: number, message: string) =>
  Object.assign(new Error(`(HTTP code ${statusCode}) x - ${message} `), { statusCode, json: { message } })
const broken = (code: string) => Object.assign(new Error(`connect ${code}`), { code })

test.each([
  [
    'OCI runtime create failed: container_linux.go:380: starting container process caused: exec: "nope": executable file not found in $PATH: unknown',
    'exec: "nope": executable file not found in $PATH',
  ],
  [
    'failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec: "/x": permission denied: unknown',
    'exec: "/x": permission denied',
  ],
  ['no space left on device', 'no space left on device'],
])('of "%s" the author of a manifest reads the end', (message, words) => {
  expect(runcWords(message)).toBe(words)
})

test.each([
  [http(400, 'OCI runtime create failed: exec: "nope": executable file not found in $PATH: unknown'), 'CannotRun'],
  [http(500, 'OCI runtime create failed: something'), 'CannotRun'],
  [http(404, 'No such container: abc'), 'NotFound'],
  [http(409, 'cannot join network of a non running container: abc'), 'Conflict'],
  [http(500, 'write /x: no space left on device'), 'Unavailable'],
  [broken('ECONNREFUSED'), 'Unavailable'],
  [new TimeoutError('no answer'), 'Timeout'],
])('a start that failed with %s is %s', (err, code) => {
  expect(startError(err).code).toBe(code)
})

test.each([
  [http(404, 'manifest for x:1 not found: manifest unknown: manifest unknown'), 'ImageNotFound'],
  [http(404, "pull access denied for x, repository does not exist or may require 'docker login': denied"), 'ImageNotFound'],
  [http(500, 'Get "http://r/v2/x": unauthorized: authentication required'), 'ImagePullFailed'],
  [http(500, 'dial tcp: lookup r: no such host'), 'ImagePullFailed'],
  [new Error('net/http: TLS handshake timeout'), 'ImagePullFailed'],
  [http(400, 'invalid reference format'), 'InvalidSpec'],
  [new TimeoutError('no progress'), 'ImagePullFailed'],
  [broken('ENOENT'), 'Unavailable'],
])('a pull that failed with %s is %s', (err, code) => {
  const found = pullError('x:1', err)
  expect(found.code).toBe(code)
  expect(found.message).toContain('pull image "x:1": ')
})

test.each([
  [http(404, 'x'), 'NotFound'],
  [http(409, 'x'), 'Conflict'],
  [http(400, 'x'), 'InvalidSpec'],
  [http(500, 'x'), 'Unavailable'],
  [broken('EPIPE'), 'Unavailable'],
  ['odd', 'Unavailable'],
])('another call that failed with %s is %s', (err, code) => {
  expect(runtimeError('do it', err)).toMatchObject({ code, message: expect.stringMatching(/^do it: /) })
})
