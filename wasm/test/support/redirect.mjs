// Sends what is meant for Amazon Bedrock to the fake: for programs that say nothing of it.

const { fetch } = globalThis;
globalThis.fetch = (input, init) => {
  const url = new URL(input instanceof Request ? input.url : input);
  if (!url.hostname.startsWith("bedrock-runtime.")) return fetch(input, init);
  return fetch(new URL(url.pathname, process.env.AWS_ENDPOINT_URL_BEDROCK_RUNTIME), init);
};
