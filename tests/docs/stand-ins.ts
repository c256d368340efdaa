/** What a command of the docs is replaced by when it is tested, and why. */
type StandIn = { command: RegExp; instead: string; why: string };

/** Commands that are run as they stand, once addresses are those of the test's stack. */
const AS_IT_STANDS: readonly RegExp[] = [
  /^(?:[A-Z]+=\$\()?curl -s (?:-H "[^"]*(?:\$\([^)]*\))?" )?(?:-X (?:PUT|DELETE) )?"?(?:localhost|http:\/\/127\.0\.0\.1):3000\//,
  /^AUTH="Authorization: Bearer /,
  /^(?:[A-Z]+=\$\()?npx waybill /,
  /^export [A-Z_]+=/,
  /^export \$\(node -p /,
  /^npm run (?:seed|report|llm:check|llm:switch)(?: -- [^;&|]*)?$/,
  /^npm run migrate -- (?:status|sql)\b/,
  /^npm run agents:sync -- /,
  /^npm run deploy -- .*--dry-run$/,
  /^npm run chaos -- --list$/,
  /^npm run try:(?:aws|compose) -- --list$/,
  /^npm run bench:edge$/,
  /^grep -h /,
];

/** A test that does what the command says: it must be there. */
const test = (file: string) => `test -f tests/${file}`;
/** A script of package.json that must be there. */
const script = (name: string) => `grep -q '"${name}": "' package.json`;

const PACKAGES = "the packages are installed, and other tests use them";
const NO_AWS = "no account of AWS; the test does the same without";
const LONG = "it takes minutes";

export const STAND_INS: readonly StandIn[] = [
  { command: /^npm ci$/, instead: "test -d node_modules", why: PACKAGES },
  {
    command: /^npm ci && npm run demo$/,
    instead: "WAYBILL_API_KEY=$(cat .waybill/key) npm run demo -- --against http://localhost:3000",
    why: `${PACKAGES}; on a stack of its own: tests/e2e/demo.test.ts`,
  },
  { command: /^npm ci && npm test$/, instead: script("test"), why: "this test is a part of it" },
  { command: /^npm start$/, instead: "curl -s localhost:3000/health", why: "the stack of this test is what it starts" },
  { command: /^npm run check$/, instead: script("check"), why: "this test is a part of it" },
  { command: /^npm run format:write$/, instead: script("format"), why: "it writes; npm run check compares" },
  { command: /^npm run generate$/, instead: script("generated"), why: "it writes; npm run check compares" },
  {
    command: /^npm run deploy -- --stage prod --region eu-central-1$/,
    instead: "npm run deploy -- --stage prod --region eu-central-1 --dry-run",
    why: "no account of AWS",
  },
  { command: /^aws (?:ssm|secretsmanager) /, instead: test("deploy/deploy.test.ts"), why: NO_AWS },
  {
    command: /^aws iam attach-role-policy .*\$\(aws cloudformation describe-stacks /s,
    instead: test("deploy/callers.test.ts"),
    why: NO_AWS,
  },
  { command: /^aws sqs /, instead: test("sqs/delivery.test.ts"), why: NO_AWS },
  { command: /^npm run deploy -- /, instead: test("deploy/deploy.test.ts"), why: NO_AWS },
  {
    command: /^npx serverless invoke local /,
    instead: test("deploy/bundles.test.ts"),
    why: "it bundles, and never ends",
  },
  { command: /^AWS_ENDPOINT_URL=\S+ npm run try:aws$/, instead: script("try:aws"), why: "no emulator of AWS" },
  { command: /^npm run try:compose$/, instead: script("try:compose"), why: "no Docker engine" },
  {
    command: /^export WAYBILL_API_KEY=\$\(docker compose /,
    instead: test("deploy/compose.test.ts"),
    why: "no Docker engine",
  },
  { command: /^docker compose /, instead: test("deploy/compose.test.ts"), why: "no Docker engine" },
  { command: /^npm run demo -- --against /, instead: script("demo"), why: "the first block of README.md has run it" },
  {
    command: /^(?:AWS_ENDPOINT_URL=\S+ )?(?:AWS_REGION=\S+ )?npm run test:sqs$/,
    instead: script("test:sqs"),
    why: "npm test runs these tests; nobody has LocalStack or AWS here",
  },
  {
    command: /^npx vitest run tests\/work\/core/,
    instead: test("work/core/lifecycle.test.ts"),
    why: "npm test runs it",
  },
  {
    command: /^npx vitest run tests\/work\/submission -t "what people decide"$/,
    instead: "grep -rq 'test(\"what people decide' tests/work/submission",
    why: "npm test runs it",
  },
  { command: /^LOG_LEVEL=debug npx vitest run /, instead: test("time.test.ts"), why: "npm test runs it" },
  { command: /^npx node agents\/research\.ts$/, instead: test("docs/agents.test.ts"), why: "that test runs the agent" },
  {
    command: /^AGENT_TRANSPORT=amqp .* npx node agents\/research\.ts$/,
    instead: test("agent-kit/amqp-agent.test.ts"),
    why: "it needs a broker, which that test has",
  },
  { command: /^pip install -r /, instead: test("agents/python.test.ts"), why: "CI installs what that test needs" },
  {
    command: /^RABBITMQ_PREFIX=PRINTED \S+ python3 /,
    instead: test("agents/python.test.ts"),
    why: "it needs a broker",
  },
  {
    command: /^npm run chaos(?: -- (?!--list).*)?$/,
    instead: script("chaos"),
    why: "it takes minutes; npm run check runs its short form",
  },
  {
    command: /^grep -h "\$TASK" \.waybill\/chaos\//,
    instead: test("chaos/journal.test.ts"),
    why: "it reads what a run of npm run chaos leaves",
  },
  { command: /^npm run bench$/, instead: script("bench"), why: LONG },
  { command: /^npm run bench:registry$/, instead: script("bench:registry"), why: LONG },
  { command: /^npm run bench:bridge -- /, instead: script("bench:bridge"), why: "it needs a broker" },
  { command: /^npm run bench:access$/, instead: script("bench:access"), why: LONG },
  { command: /^npm run bench:llm$/, instead: script("bench:llm"), why: LONG },
  {
    command: /^npm run bench:router$/,
    instead: test("bench/simulation.test.ts"),
    why: `${LONG}; that test has the same simulation, smaller`,
  },
];

/** What is run for a command of the docs; undefined where nothing says what that is. */
export function runFor(command: string): string | undefined {
  const standIn = STAND_INS.find((one) => one.command.test(command));
  if (standIn !== undefined) return standIn.instead;
  return AS_IT_STANDS.some((known) => known.test(command)) ? command : undefined;
}
