// The way from a file to a tuned model and back, with OpenAI's SDK for Node: node happy_path.mjs BASE_URL ROWS
// Prints what it got as one JSON object; anything unexpected throws, exit 1.
import fs from "node:fs";
import assert from "node:assert/strict";
import OpenAI from "openai";

const [baseURL, rows] = process.argv.slice(2);
const client = new OpenAI({baseURL, apiKey: "any", maxRetries: 0});
const tools = JSON.parse(fs.readFileSync(rows, "utf8").split("\n")[0]).tools;
const collect = async (list) => {
  const items = [];
  for await (const item of list) items.push(item);
  return items;
};

const file = await client.files.create({file: fs.createReadStream(rows), purpose: "fine-tune"});
assert.equal((await client.files.waitForProcessing(file.id)).status, "processed");
let job = await client.fineTuning.jobs.create({
  training_file: file.id, model: "gpt-4o-mini-2024-07-18", suffix: "node", hyperparameters: {n_epochs: 3},
  metadata: {team: "a b"},
});
const first = job.status;
while (!["succeeded", "failed", "cancelled"].includes(job.status)) {
  await new Promise((resolve) => setTimeout(resolve, 200));
  job = await client.fineTuning.jobs.retrieve(job.id);
}
assert.equal(job.status, "succeeded", job.error?.message);
const events = await collect(client.fineTuning.jobs.listEvents(job.id, {limit: 7}));
const checkpoints = await collect(client.fineTuning.jobs.checkpoints.list(job.id));
const results = Buffer.from(await (await client.files.content(job.result_files[0])).text(), "base64").toString();

const model = job.fine_tuned_model;
assert.equal((await client.models.retrieve(model)).id, model);
const ask = {model, tools, messages: [{role: "user", content: "call"}], store: true, metadata: {app: "node"}};
const whole = await client.chat.completions.create(ask);
let streamed = "";
let id;
for await (const chunk of await client.chat.completions.create({...ask, stream: true})) {
  id = chunk.id;
  streamed += chunk.choices[0]?.delta?.tool_calls?.[0]?.function?.arguments ?? "";
}
const helper = await client.chat.completions.stream(ask).finalChatCompletion();
const stored = await collect(client.chat.completions.list({metadata: {app: "node"}, limit: 2}));
const messages = await collect(client.chat.completions.messages.list(id));
const updated = await client.chat.completions.update(id, {metadata: {app: "node", label: "good"}});
const deleted = [];
for (const item of stored) deleted.push((await client.chat.completions.delete(item.id)).deleted);
await assert.rejects(client.chat.completions.retrieve(id), (error) => error instanceof OpenAI.NotFoundError);
await assert.rejects(
  client.fineTuning.jobs.create({training_file: "file-none", model: "gpt-4o-mini"}),
  (error) => error instanceof OpenAI.BadRequestError && error.code === "file_not_found",
);

console.log(JSON.stringify({
  first, model, events: events.map((event) => event.message), checkpoints: checkpoints.map((each) => each.step_number),
  results: results.trim().split("\n").length, call: whole.choices[0].message.tool_calls[0].function, streamed,
  helper: helper.choices[0].message.tool_calls[0].function.arguments, stored: stored.map((item) => item.id),
  ids: [whole.id, id, helper.id], messages: messages.map((message) => message.content), label: updated.metadata.label,
  deleted, model_deleted: (await client.models.delete(model)).deleted,
  file_deleted: (await client.files.delete(file.id)).deleted,
}));
