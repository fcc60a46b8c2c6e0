//! Makes `tests/samples/prompts.jsonl`: 600 everyday prompts, the same ones every time.
//!
//! ```text
//! cargo run -p sluicegate-cli --example make_samples > tests/samples/prompts.jsonl
//! ```
//!
//! Input lengths are drawn from the quantiles of the Azure conversation trace (p50 1,020 tokens, p99 4,142), at 4.2 bytes
//! a token and **one thirteenth** of that, so that the file stays below 400 kB. `maxTokens` is what people set for such tasks.
//! Four records in five are Converse, the others InvokeModel in Anthropic's form. All text is made up here.

use serde_json::json;
use sluicegate_sim::azure_conversation_input;

/// How many prompts there are.
pub(crate) const PROMPTS: u64 = 600;
/// Bytes of text per token, in tenths.
const BYTES_PER_TOKEN_TENTHS: u64 = 42;
/// What the lengths are divided by.
const SCALE: u64 = 13;
/// No prompt is shorter than its task.
const LEAST_BYTES: u64 = 120;

fn main() {
    print!("{}", samples());
}

/// The whole file.
pub(crate) fn samples() -> String {
    let lengths = azure_conversation_input();
    let mut draws = Draws(2_026);
    let mut text = String::new();
    for number in 1..=PROMPTS {
        let bytes = (lengths.value(draws.next()) * BYTES_PER_TOKEN_TENTHS / 10 / SCALE).max(LEAST_BYTES);
        let record = record(number, bytes as usize, &mut draws);
        text.push_str(&record);
        text.push('\n');
    }
    text
}

fn record(number: u64, bytes: usize, draws: &mut Draws) -> String {
    let task = &TASKS[draws.below(TASKS.len())];
    let prompt = prompt(task, bytes, draws);
    let max_tokens = draws.pick(task.max_tokens);
    let model_input = match number.is_multiple_of(5) {
        true => json!({
            "anthropic_version": "bedrock-2023-05-31",
            "max_tokens": max_tokens,
            "system": task.role,
            "messages": [{"role": "user", "content": [{"type": "text", "text": prompt}]}],
        }),
        false => json!({
            "system": [{"text": task.role}],
            "messages": [{"role": "user", "content": [{"text": prompt}]}],
            "inferenceConfig": {"maxTokens": max_tokens, "temperature": 0.3},
        }),
    };
    // What a person looks for comes first.
    format!("{{\"recordId\":\"{}-{number:04}\",\"modelInput\":{model_input}}}", task.name)
}

/// A task with as much material as fits the length.
fn prompt(task: &Task, bytes: usize, draws: &mut Draws) -> String {
    let mut text = fill(draws.pick(task.asks), draws);
    text.push_str("\n\n");
    let mut last = usize::MAX;
    loop {
        // No sentence stands beside itself.
        let index = match draws.below(task.material.len()) {
            index if index == last => (index + 1) % task.material.len(),
            index => index,
        };
        last = index;
        let sentence = fill(task.material[index], draws);
        let full = text.len() + sentence.len() > bytes;
        text.push_str(&sentence);
        if full {
            return text;
        }
        text.push_str(task.between);
    }
}

/// Puts words in the places of `{name}`.
fn fill(template: &str, draws: &mut Draws) -> String {
    let mut text = String::with_capacity(template.len() + 16);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').unwrap_or((after, ""));
        text.push_str(before);
        match WORDS.iter().find(|(known, _)| *known == name) {
            Some((_, words)) => text.push_str(draws.pick(words)),
            None if name == "n" => text.push_str(&(2 + draws.below(58)).to_string()),
            None => text.push_str(&format!("{}.{:02}", 3 + draws.below(900), draws.below(100))),
        }
        rest = after;
    }
    text + rest
}

/// SplitMix64 (Steele, Lea, Flood: "Fast Splittable Pseudorandom Number Generators", 2014), so that no library's choice of
/// generator changes the file.
struct Draws(u64);

impl Draws {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut draw = self.0;
        draw = (draw ^ (draw >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        draw = (draw ^ (draw >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        draw ^ (draw >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

struct Task {
    name: &'static str,
    role: &'static str,
    asks: &'static [&'static str],
    material: &'static [&'static str],
    between: &'static str,
    max_tokens: &'static [u64],
}

const WORDS: &[(&str, &[&str])] = &[
    ("who", &["Amara", "Jonas", "Mei", "Tomás", "Priya", "Luca", "Ingrid", "Kofi", "Yuki", "Elif", "Noor", "Sam"]),
    ("firm", &["Harbour Tools", "Fernwood Books", "Blue Kettle", "Alder Logistics", "Pinecrest Dental", "Lumen Bikes"]),
    ("day", &["Monday", "Tuesday", "Wednesday", "Thursday", "Friday"]),
    ("month", &["January", "March", "April", "June", "September", "November"]),
    ("city", &["Lisbon", "Kyoto", "Montréal", "Nairobi", "Gdańsk", "Valparaíso", "Bergen", "Jaipur"]),
    ("item", &["desk lamp", "rain jacket", "coffee grinder", "travel backpack", "standing desk", "bicycle helmet"]),
    ("team", &["support", "billing", "design", "data", "warehouse", "onboarding"]),
    ("dish", &["lentil stew", "mushroom risotto", "chickpea curry", "apple crumble", "tomato soup", "vegetable pie"]),
    ("host", &["web-01", "web-02", "queue-03", "db-primary", "cache-07", "worker-12"]),
    ("tone", &["friendly", "formal", "reassuring", "brief", "apologetic"]),
    ("tongue", &["German", "French", "Spanish", "Italian", "Polish", "Japanese"]),
    ("topic", &["photosynthesis", "compound interest", "the water cycle", "plate tectonics", "supply and demand"]),
];

const TASKS: &[Task] = &[
    Task {
        name: "minutes",
        role: "You write short, exact minutes.",
        asks: &[
            "Summarise these meeting notes in five bullet points and list who has to do what by when.",
            "Turn the notes below into minutes for people who were not there. Name open questions at the end.",
        ],
        material: &[
            "{who} said that the {team} team is {n} tickets behind and needs help until {day}.",
            "We agreed to move the {city} launch to {month}; {who} tells the partners.",
            "{who} asked whether the new {item} page should go live before the price change.",
            "Budget: {n} thousand are left for the quarter, half of it promised to the {team} team.",
            "Nobody knew who owns the contract with {firm}; {who} will find out.",
            "The survey came back with {n} answers, most of them about delivery times.",
            "{who} will draft the announcement and send it round by {day} noon.",
            "Decision: we keep the old process for the {team} team and look again in {month}.",
        ],
        between: "\n",
        max_tokens: &[300, 400, 512],
    },
    Task {
        name: "review",
        role: "You classify customer reviews and answer in JSON.",
        asks: &[
            "For each review give the sentiment (positive, mixed, negative), the main topic and whether we should reply.",
            "Which complaints come up more than once in these reviews of our {item}? Answer with counts.",
        ],
        material: &[
            "\"The {item} is lovely, but it arrived {n} days late and the box was wet.\"",
            "\"Second {item} from {firm}. This one is even better. My neighbour wants one too.\"",
            "\"Instructions are only in {tongue}. Took me {n} minutes to find the right screw.\"",
            "\"Returned it. The colour looks nothing like the picture.\"",
            "\"Support answered within {n} minutes and sent a new part. Five stars for {who}!\"",
            "\"It does what it should. Not cheap at {price} though.\"",
            "\"Broke after {n} weeks of normal use, and nobody picks up the phone.\"",
        ],
        between: "\n",
        max_tokens: &[200, 256, 400],
    },
    Task {
        name: "reply",
        role: "You draft replies for a small customer service team.",
        asks: &[
            "Draft a {tone} reply to the message below. Offer a concrete next step and do not promise a refund.",
            "Write a {tone} answer to this customer in at most 120 words.",
        ],
        material: &[
            "I ordered a {item} from {firm} on {day} and paid {price}, but the confirmation shows another address.",
            "I have written {n} times and only got an automatic answer.",
            "My colleague {who} ordered the same thing later and already has it.",
            "Could you also tell me whether the warranty covers use outdoors?",
            "I will be in {city} from the {n}th on, so please call before that.",
            "If it cannot be delivered by {day}, I would rather cancel.",
            "The invoice lists {price} for shipping, although the page said it was free.",
        ],
        between: " ",
        max_tokens: &[256, 300, 350],
    },
    Task {
        name: "invoice",
        role: "You extract data and answer with JSON only.",
        asks: &[
            "Extract supplier, date, each position with its amount, and the total. Use null for what is missing.",
            "Check whether the positions of this invoice add up, and list every position that looks unusual.",
        ],
        material: &[
            "{n} x {item} at {price} each",
            "Delivery to {city}, {day}: {price}",
            "Discount agreed with {who} in {month}: {price}",
            "Supplier: {firm}, payable within {n} days",
            "Service by the {team} team, {n} hours at {price}",
            "Return of one {item}, credited {price}",
        ],
        between: "\n",
        max_tokens: &[300, 400, 600],
    },
    Task {
        name: "translate",
        role: "You translate faithfully and keep names and numbers as they are.",
        asks: &[
            "Translate the following text into {tongue}. Keep the line breaks.",
            "Translate this notice into {tongue} for visitors who are in a hurry.",
        ],
        material: &[
            "The workshop in {city} is closed on {day} because we are taking stock.",
            "Please bring your {item} to the counter on the ground floor, where {who} will help you.",
            "From {month} on, appointments can be booked up to {n} days ahead.",
            "If you lose your ticket, the day rate of {price} is due.",
            "Groups of more than {n} people should tell us the day before.",
            "We are sorry for the noise: the {team} team is moving to the second floor.",
        ],
        between: "\n",
        max_tokens: &[400, 512, 800],
    },
    Task {
        name: "trip",
        role: "You plan trips for people who like to walk and to eat well.",
        asks: &[
            "Plan {n} days in {city} for the group described below, with one rainy-day alternative for each day.",
            "Suggest an itinerary from {city} to {city} in {month}. Explain your choices in one sentence each.",
        ],
        material: &[
            "{who} does not eat meat and loves {dish}.",
            "We are {n} people, two of them under ten, and want to spend less than {price} a day.",
            "{who} cannot walk more than {n} minutes without a break.",
            "We have seen the big museums before and would rather visit small ones.",
            "On {day} evening we meet {who}, who lives near the harbour.",
            "Trains are fine, flights are not.",
            "Somebody always wants to buy a {item}.",
        ],
        between: " ",
        max_tokens: &[600, 800, 1_000],
    },
    Task {
        name: "incident",
        role: "You are an experienced site reliability engineer.",
        asks: &[
            "What most likely happened here? Give the evidence line by line, then the next three checks.",
            "Write the timeline part of a blameless post-mortem from these log lines.",
        ],
        material: &[
            "{host} WARN request took {n}00 ms, pool has 0 idle connections",
            "{host} ERROR upstream {host} refused the connection, attempt {n}",
            "{host} INFO deploy of release {price} finished in {n} s",
            "{host} WARN disk at {n} % of the alarm threshold",
            "{host} INFO health check ok after {n} failures",
            "{host} ERROR message of the {team} queue moved to dead letters",
            "{host} INFO configuration reloaded by {who}",
        ],
        between: "\n",
        max_tokens: &[400, 600, 800],
    },
    Task {
        name: "teach",
        role: "You explain things to curious twelve-year-olds.",
        asks: &[
            "Explain {topic} with an example from everyday life, then ask three questions of rising difficulty.",
            "Make a quiz of {n} questions about {topic}, with answers, that fits what the class already knows.",
        ],
        material: &[
            "The class has {n} pupils and met the topic in {month} for the first time.",
            "{who} always asks why it matters outside of school.",
            "They liked the comparison with cooking {dish} very much.",
            "Last time the words were too hard; use short sentences.",
            "{who} has just moved here from {city} and is still learning the language.",
            "There are {n} minutes on {day}, and the projector is broken.",
        ],
        between: " ",
        max_tokens: &[400, 600, 800],
    },
    Task {
        name: "recipe",
        role: "You are a patient cook.",
        asks: &[
            "Change this recipe for {dish} so that it serves {n} people and needs no oven.",
            "What can go wrong with this {dish}? Give the three most likely mistakes and how to avoid them.",
        ],
        material: &[
            "Soak the beans for {n} hours, then rinse them twice.",
            "Chop two onions and let them sweat for {n} minutes without colour.",
            "Add a spoonful of flour and stir until it smells of nuts.",
            "Pour in half a litre of stock, little by little.",
            "{who} likes it with a squeeze of lemon; without it, it is a bit flat.",
            "Leave it alone for {n} minutes before serving.",
            "In {city} they would add a handful of herbs at this point.",
        ],
        between: "\n",
        max_tokens: &[300, 400, 512],
    },
    Task {
        name: "rewrite",
        role: "You edit text and change as little as possible.",
        asks: &[
            "Rewrite the following in a {tone} tone and in plain words. Keep every fact.",
            "Shorten this to half of its length without losing a date, a name or a number.",
        ],
        material: &[
            "With regard to the matter of the {item} which was raised by {who}, it should be noted that a decision is pending.",
            "In {month}, the {team} team was in a position to complete {n} of the tasks that had been assigned to it.",
            "It is our intention to make available a new version at the earliest possible point in time after {day}.",
            "The costs, which come to {price}, have been taken over by {firm} in their entirety.",
            "Due to the fact that the lift in {city} is out of order, visitors are advised to allow {n} minutes more.",
            "There is a possibility that {who} will not be able to take part.",
        ],
        between: " ",
        max_tokens: &[256, 400, 512],
    },
];
