import { defineConfig } from 'vitest/config'

const folders = '{lib,api,client,controlplane,agent,ctl,tools,deploy,e2e}'
/** One project per test-file suffix; the suffix says what a test needs. */
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: [`${folders}/**/*.test.ts`],
          exclude: ['**/*.{etcd,docker,e2e}.test.ts'],
          testTimeout: 30_000,
        },
      },
      { test: { name: 'etcd', include: [`${folders}/**/*.etcd.test.ts`], testTimeout: 60_000, hookTimeout: 60_000 } },
      {
        test: {
          name: 'docker',
          include: [`${folders}/**/*.docker.test.ts`],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          fileParallelism: false,
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['e2e/**/*.e2e.test.ts'],
          testTimeout: 240_000,
          hookTimeout: 240_000,
          fileParallelism: false,
        },
      },
    ],
  },
})
