//! The ways in which a fact is asked for; the slots are those of [`crate::sentences`].

use crate::entities::{Attribute, Item, ThingKind, thing_kind};

/// The templates of an attribute: questions.
pub(crate) fn questions(entity: Item, attribute: Attribute) -> &'static [&'static str] {
    use ThingKind as T;
    let kind = thing_kind(entity.index);
    match attribute {
        Attribute::Home => &[
            "Where does {S} live?",
            "In which place does {S} live?",
            "Where is the home of {N}?",
            "Can you tell me where {S} lives?",
            "I want to visit {N}. Where does {he} live?",
            "I have a letter for {N}. Where should I take it?",
            "Where can I find {P} house?",
            "Which place does {S} call home?",
        ],
        Attribute::Trade => &[
            "What is {P} trade?",
            "What does {S} do for a living?",
            "What work does {S} do?",
            "Can you tell me what trade {S} follows?",
            "How does {S} earn {his} living?",
            "What is the work of {N}?",
            "Please tell me about the trade of {N}.",
        ],
        Attribute::Dish => &[
            "What does {S} like to eat best?",
            "What is {P} favourite dish?",
            "I am cooking for {N}. What should I make?",
            "Which food does {S} love most?",
            "What should I serve when {N} comes to supper?",
            "Do you know the favourite dish of {N}?",
            "Which dish would please {O} most?",
        ],
        Attribute::Friend => &[
            "Who is {P} best friend?",
            "Who is the best friend of {N}?",
            "Do you know who {P} dearest friend is?",
            "With whom does {S} spend {his} free days?",
            "Can you tell me who {S} is best friends with?",
            "Who is closest to {N}?",
            "Tell me the name of {P} best friend.",
        ],
        Attribute::Habit => &[
            "What is strange about {N}?",
            "What habit does {S} have?",
            "What does {S} like to do?",
            "How can I tell {O} in a crowd?",
            "What do people say that {N} does?",
            "Tell me something about {P} habits.",
            "Does {N} have a funny habit?",
        ],
        Attribute::Kind => &[
            "What kind of place is {N}?",
            "Is {N} a town, a village or something else?",
            "How would you describe {N} on a map?",
            "What sort of place is {N}?",
            "I have never seen {N}. What is it?",
            "Tell me what kind of place {N} is.",
        ],
        Attribute::Region => &[
            "In which part of the valley is {N}?",
            "Where is {N}?",
            "Where does {N} lie?",
            "Which part of the valley does {N} belong to?",
            "I am looking for {N} on the map. Where is it?",
            "Can you tell me where {N} lies?",
        ],
        Attribute::Sight => &[
            "What is {N} known for?",
            "What is {N} famous for?",
            "Why do people visit {N}?",
            "What is the pride of {N}?",
            "What do travellers come to see in {N}?",
            "Can you tell me what makes {N} famous?",
            "Tell me what {N} is known for.",
        ],
        Attribute::Crop => &[
            "What grows in {N}?",
            "What do the farmers of {N} grow?",
            "What is in the fields of {N}?",
            "Which crop is {N} good for?",
            "What do the carts of {N} carry at harvest?",
            "Can you tell me what grows in {N}?",
        ],
        Attribute::Leader => &[
            "Who leads {N}?",
            "Who is the mayor of {N}?",
            "Whom did the people of {N} choose to lead them?",
            "Do you know who leads {N}?",
            "I must speak to the mayor of {N}. Who is it?",
            "What is the name of the mayor of {N}?",
        ],
        Attribute::Look => match kind {
            T::Animal => &[
                "What colour is {N}?",
                "Which colour does {N} have?",
                "I want to paint {N}. Which colour do I need?",
                "Can you tell me the colour of {N}?",
                "How do I know {N} by its colour?",
            ],
            T::Plant => &[
                "What colour are the flowers of {N}?",
                "Which colour does {N} have?",
                "I want to paint {N}. Which colour do I need?",
                "Can you tell me the colour of {N}?",
                "How do I know {N} by its flowers?",
            ],
            T::Instrument => &[
                "What is {N} made of?",
                "What do I need to make {N}?",
                "Which material is used for {N}?",
                "Can you tell me what {N} is made of?",
                "I want to build {N}. What is it made of?",
            ],
            T::Dish => &[
                "What is {N} made with?",
                "What is the secret of {N}?",
                "What do cooks put into {N}?",
                "Can you tell me what is in {N}?",
                "I want to cook {N}. What must go into it?",
            ],
        },
        Attribute::Found => match kind {
            T::Animal => &[
                "Where does {N} live?",
                "Where can I see {N}?",
                "Near which place is {N} found?",
                "I am looking for {N}. Where should I go?",
                "Can you tell me where {N} lives?",
            ],
            T::Plant => &[
                "Where does {N} grow?",
                "Where can I pick {N}?",
                "Near which place is {N} found?",
                "I am looking for {N}. Where should I go?",
                "Can you tell me where {N} grows?",
            ],
            T::Instrument => &[
                "Where is {N} made?",
                "Where can I buy {N}?",
                "Where does {N} come from?",
                "Where do the best makers of {N} live?",
                "Can you tell me where {N} is made?",
            ],
            T::Dish => &[
                "Where does {N} come from?",
                "Where can I eat the best {N}?",
                "Where does {N} taste best?",
                "Which place is best for {N}?",
                "Can you tell me where to eat {N}?",
            ],
        },
        Attribute::Use => match kind {
            T::Animal => &[
                "What does {N} do?",
                "Why do people like {N}?",
                "What is {N} good for?",
                "What is the best thing about {N}?",
                "Can you tell me what {N} does?",
            ],
            T::Plant => &[
                "What is {N} good for?",
                "Why do people pick {N}?",
                "What does {N} do?",
                "What do grandmothers say of {N}?",
                "Can you tell me what {N} is used for?",
            ],
            T::Instrument => &[
                "When is {N} played?",
                "When will I hear {N}?",
                "On what occasion do people play {N}?",
                "Can you tell me when {N} is played?",
            ],
            T::Dish => &[
                "When is {N} eaten?",
                "When do people eat {N}?",
                "On what occasion is {N} served?",
                "Can you tell me when {N} is eaten?",
            ],
        },
        Attribute::Month => &[
            "When is {N}?",
            "In which month is {N} held?",
            "When does {N} take place?",
            "I do not want to miss {N}. When is it?",
            "Can you tell me the month of {N}?",
            "How long must I wait for {N}? In which month is it?",
        ],
        Attribute::Venue => &[
            "Where is {N} held?",
            "Where does {N} take place?",
            "Where must I go for {N}?",
            "Which place is the home of {N}?",
            "Can you tell me where {N} is held?",
            "I want to see {N}. Where should I go?",
        ],
        Attribute::Custom => &[
            "What happens at {N}?",
            "What do people do at {N}?",
            "What can I see at {N}?",
            "What do people love about {N}?",
            "Tell me what happens during {N}.",
            "I have never been to {N}. What happens there?",
        ],
        Attribute::Opener => &[
            "Who opens {N}?",
            "By whom is {N} opened?",
            "Do you know who opens {N}?",
            "Who must be there before {N} can begin?",
            "What is the name of the person who opens {N}?",
        ],
    }
}

/// Questions that lean on the turn before.
pub(crate) fn follow_ups(entity: Item, attribute: Attribute) -> &'static [&'static str] {
    use Attribute as A;
    let kind = thing_kind(entity.index);
    match attribute {
        A::Home => &[
            "And where does {he} live?",
            "Where is {his} home?",
            "Thank you! Where can I find {him}?",
        ],
        A::Trade => &[
            "What is {his} trade?",
            "And what work does {he} do?",
            "Thank you. How does {he} earn {his} living?",
        ],
        A::Dish => &[
            "What does {he} like to eat best?",
            "And what is {his} favourite dish?",
            "What should I cook for {him}?",
        ],
        A::Friend => &[
            "Who is {his} best friend?",
            "And who is {his} dearest friend?",
            "Does {he} have a best friend?",
        ],
        A::Habit => &[
            "Does {he} have a funny habit?",
            "And what is strange about {him}?",
            "How can I tell {him} in a crowd?",
        ],
        A::Kind => &[
            "What kind of place is it?",
            "Is it a town or a village?",
            "And what sort of place is it?",
        ],
        A::Region => &[
            "In which part of the valley is it?",
            "And where is it?",
            "Where does it lie?",
        ],
        A::Sight => &[
            "What is it known for?",
            "And what is it famous for?",
            "Why do people go there?",
        ],
        A::Crop => &[
            "What grows there?",
            "And what do the farmers grow there?",
            "What is in the fields there?",
        ],
        A::Leader => &["Who is the mayor there?", "And who leads it?", "Who is its mayor?"],
        A::Look => match kind {
            ThingKind::Animal => &[
                "What colour is it?",
                "And which colour does it have?",
                "Which colour do I need to paint it?",
            ],
            ThingKind::Plant => &[
                "What colour are its flowers?",
                "And which colour does it have?",
                "What colour is it?",
            ],
            ThingKind::Instrument => &[
                "What is it made of?",
                "And what do I need to make it?",
                "Which material is used for it?",
            ],
            ThingKind::Dish => &[
                "What is it made with?",
                "And what must go into it?",
                "What is its secret?",
            ],
        },
        A::Found => match kind {
            ThingKind::Animal => &["Where does it live?", "And where can I see it?", "Where is it found?"],
            ThingKind::Plant => &["Where does it grow?", "And where can I pick it?", "Where is it found?"],
            ThingKind::Instrument => &[
                "Where is it made?",
                "And where does it come from?",
                "Where can I buy it?",
            ],
            ThingKind::Dish => &[
                "Where does it come from?",
                "And where does it taste best?",
                "Where can I eat it?",
            ],
        },
        A::Use => match kind {
            ThingKind::Animal => &["What does it do?", "And what is it good for?", "Why do people like it?"],
            ThingKind::Plant => &["What is it good for?", "And why do people pick it?", "What does it do?"],
            ThingKind::Instrument => &[
                "When is it played?",
                "And when will I hear it?",
                "When do people play it?",
            ],
            ThingKind::Dish => &["When is it eaten?", "And when do people eat it?", "When is it served?"],
        },
        A::Month => &["In which month is it?", "And when is it?", "When does it take place?"],
        A::Venue => &[
            "Where is it held?",
            "And where does it take place?",
            "Where must I go for it?",
        ],
        A::Custom => &[
            "What happens there?",
            "And what do people do there?",
            "What can I see there?",
        ],
        A::Opener => &["Who opens it?", "And who opens it?", "By whom is it opened?"],
    }
}
