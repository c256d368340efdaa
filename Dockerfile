# Three images: `functions` runs serverless offline with every function, `agent` one agent, `bridge` the way between SQS and
# RabbitMQ. docker-compose.yml builds them.
# The version of Node is package.json's.
ARG NODE_VERSION=24.21.0

FROM node:${NODE_VERSION}-slim AS base
WORKDIR /app
COPY package.json package-lock.json .npmrc ./

# No install scripts: the image has Node itself, and no package needs another of them. The patches make one build of all functions.
FROM base AS all-packages
COPY patches patches
RUN npm ci --ignore-scripts && node_modules/.bin/patch-package --error-on-fail

FROM base AS runtime-packages
RUN npm ci --ignore-scripts --omit=dev

FROM base AS agent
# What agents/code.yaml offers beside Node.
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates git && rm -rf /var/lib/apt/lists/*
COPY --from=runtime-packages /app/node_modules node_modules
COPY lib lib
COPY agents agents
# A new workspace holds a link to the agent's own source, for the demo to count.
RUN install -d -o node -g node /data /workspace /run/waybill && ln -s /app/lib /workspace/lib
USER node
WORKDIR /workspace
ENV WAYBILL_AGENT_DATA=/data
CMD ["node", "/app/agents/code.ts"]

FROM base AS bridge
COPY --from=runtime-packages /app/node_modules node_modules
COPY lib lib
COPY localstack/bridge localstack/bridge
USER node
EXPOSE 9326
CMD ["node", "localstack/bridge/main.ts"]

FROM base AS functions
COPY --from=all-packages /app/node_modules node_modules
COPY tsconfig.json serverless.yml llm.config.yaml ./
COPY deploy deploy
COPY migrations migrations
COPY agents agents
COPY bin bin
COPY cli cli
COPY localstack localstack
COPY lib lib
COPY functions functions
COPY docs/openapi.json docs/
# The one folder of the project that it writes to: keys, bundles, logs and the lock against a second start. A new volume is the user's
# where the folder in the image is.
RUN install -d -o node -g node .waybill .waybill/keys .waybill/keys/code .waybill/keys/infra
USER node
EXPOSE 3000 3003
CMD ["node", "node_modules/serverless/bin/serverless.js", "offline", "start", "--host", "0.0.0.0", "--httpPort", "3000"]
