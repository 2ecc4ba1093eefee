"""All constants of recall in one place: candidates, the parts of a score, the gate, and what goes into a prompt.

Chosen by hand on two public sets of conversations and kept round; parts were checked on halves of them, the last
weights on all. What gained on one kind of talk at the other's cost was dropped. ARCHITECTURE.md says what each gained.
"""

# ---------------------------------------------------------------------- candidates

# Of messages, summaries and facts by words, and of all kinds by vectors. More cost time and change little; a cosine is
# worth having even of what words found first, and facts and messages share one list.
BY_WORDS = {"m": 100, "s": 50, "f": 50}
BY_VECTORS = 300
BY_VECTORS_SCOPED = 1000  # vectors know neither dates nor sessions: ask for more where a scope will drop most
AROUND = 30  # best candidates whose neighbours in the talk are brought in: a reply need not share the question's words

# ---------------------------------------------------------------------- the score: the arms

# Words count as a share of the best of their kind (each table of the store has a scale of its own), meaning as its
# cosine. They fail on different questions, and neither is better by itself.
WORDS, MEANING = 0.8, 1.0
GIST = 0.8  # of a summary's arms: it matches many questions a little
RELEVANT = 0.3  # of the arms, from where what kind of message it is counts in full: what matches nothing is not lifted

# ---------------------------------------------------------------------- the score: what kind of message it is

# The assistant's replies are long and full of the question's words; its owner's messages, and facts, say what is so.
OWNER = 0.65
SPEAKER = 0.2  # a question that names a speaker asks for what that one said: up for theirs, down for the others'
LENGTH, SHORTEST, LONGEST = 0.15, 15, 330  # a factor e in characters: "Wow, great!" matches well and tells nothing
ASKING = 0.2  # less for what ends in a question mark: it asks for what another message tells
EXPECTED = 0.15  # for a time where the question asks when, and a name where it asks who, where or for a title
PHRASE = 0.15  # for the question's words that stand side by side in it as they do in the question
PHRASES = 10  # of a long question the first: a pasted page is none

# ---------------------------------------------------------------------- the score: what stands around it

# Of the arms of the messages at these distances. Short replies live from what stands around them, most from what stands
# before, and a reply to a question gets REPLY of that besides.
NEIGHBOUR = {-2: 0.1, -1: 0.2, 1: 0.15, 2: 0.1}
REPLY = 0.15
TALK = 220  # characters; longer messages stand for themselves: theirs is damped by TALK / characters
FACT = 0.5  # of a fact's arms to the messages it rests on: it says in a sentence what they say in passing
TOPIC, CLOSEST = 0.5, 0.3  # a session by the question's words that it covers, and by its best cosine
SUMMED_UP = 0.35  # of a summary's arms, to all of its session
TIME = 1.2  # for what was said at a time that the question names: few have one, but those mean it
TOLD_WITHIN, FORGOTTEN_AFTER = 3, 30  # days: what happened is told soon, and now and then weeks later

# ---------------------------------------------------------------------- what says nothing new

ECHO = 0.8  # of all their words in common, and a message only says what the question says
ECHO_WORDS = 3  # fewer words are a search, not a question asked before

# ---------------------------------------------------------------------- the gate before a prompt

BM25_WEIGHT = 0.2  # bm25 over the logarithm of the messages runs to about 2.5, a cosine to about 0.8
FLOOR, SLOPE = 0.20, 0.064  # what small talk reaches in a memory of one message, and more for each factor e
CEILING = 0.75  # in a memory of many thousands some small talk was talked about before; let it through

# Words agree where so many of the question's are held, and that share of them. It stands in for bm25 where that knows
# no rare word yet (it is 0 for what half of all messages hold), and counts as much as the rarest word there.
HELD, HELD_SHARE = 2, 0.5
TINY = 20

# Without a vector words alone judge: how rare they are (bm25 over the logarithm of the messages) and how many agree. Of
# 70 lines of small talk 7 per cent pass, of the questions 86 and 89, among 700 and 4,390 messages.
WORD, WORDS_MOST = 0.4, 4
WORDS_FLOOR, WORDS_SLOPE = -0.75, 0.41
WORDS_LEAST = 1.7  # in the smallest memory: two words, or a very rare one

# ---------------------------------------------------------------------- into the prompt

NEAR_BEST = 0.65  # of the best hit's score: what is far below the best is not what was meant, and costs tokens
LEAST = 0.1  # of the gate's threshold: what has less of its own stands only near what matters ("Noted, thank you.")
SESSION_SHARE = 6  # hits of one session in a prompt, so that one long talk does not take all the room
SHORTEST_LINE = 16  # tokens: who said it, when and where cost that much; with less left, none more is tried
CUTS = 20  # of what was found and not shown, how much is told
PASSAGE_TOKENS = 120  # of a long text, what is shown: a paragraph
CHARACTERS_A_TOKEN = 4  # about, in English
