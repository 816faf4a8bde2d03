import type { Admin, TopicDescription, TopicOptions } from "../client/index.ts";

/** The topic that was looked at. While brokers of before may take the call, the change goes by the name: it is the one that was asked for. */
export async function seenTopic(admin: Admin, topic: TopicDescription | undefined): Promise<TopicOptions> {
  return (await admin.obeysTopicIds()) ? { topicId: topic?.topicId } : {};
}
