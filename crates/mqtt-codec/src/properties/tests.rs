use super::*;
use alloc::string::String;
use alloc::vec::Vec;

fn all() -> Vec<Property<'static>> {
    alloc::vec![
        Property::PayloadFormatIndicator(true),
        Property::MessageExpiryInterval(60),
        Property::ContentType("text/plain"),
        Property::ResponseTopic("reply/to"),
        Property::CorrelationData(b"\x00\x01"),
        Property::SubscriptionIdentifier(300),
        Property::SessionExpiryInterval(u32::MAX),
        Property::AssignedClientIdentifier("id"),
        Property::ServerKeepAlive(30),
        Property::AuthenticationMethod("SCRAM"),
        Property::AuthenticationData(b"data"),
        Property::RequestProblemInformation(false),
        Property::WillDelayInterval(5),
        Property::RequestResponseInformation(true),
        Property::ResponseInformation("info"),
        Property::ServerReference("other"),
        Property::ReasonString("because"),
        Property::ReceiveMaximum(100),
        Property::TopicAliasMaximum(8),
        Property::TopicAlias(1),
        Property::MaximumQoS(true),
        Property::RetainAvailable(false),
        Property::UserProperty("name", "value"),
        Property::MaximumPacketSize(128),
        Property::WildcardSubscriptionAvailable(true),
        Property::SubscriptionIdentifierAvailable(false),
        Property::SharedSubscriptionAvailable(true),
    ]
}

fn allows(property: Property<'_>, context: Context) -> bool {
    table::rule(property.id() as u32).unwrap().allows(context)
}

#[test]
fn all_27_properties_come_back_as_they_were_put() {
    let mut properties = Properties::new();
    for property in all() {
        properties = properties.with(property).unwrap();
    }
    assert_eq!(properties.as_ref().iter().collect::<Vec<_>>(), all());
    assert_eq!(all().len(), 27);
}

#[test]
fn each_property_is_accepted_just_where_table_2_4_puts_it() {
    let mut accepted = 0;
    for property in all() {
        // Authentication Data needs its method beside it.
        let mut properties = Properties::new().with(property).unwrap();
        if property.id() == PropertyId::AuthenticationData {
            properties = properties.with(Property::AuthenticationMethod("m")).unwrap();
        }
        for context in Context::ALL {
            let verdict = validate(properties.as_bytes(), context, u32::MAX).map(|_| ());
            match (allows(property, context), allows(property, context.by_either())) {
                (true, _) => {
                    accepted += usize::from(context == context.by_either());
                    assert_eq!(verdict, Ok(()), "{property:?} in {context:?}");
                }
                (false, true) => assert!(
                    matches!(verdict, Err(DecodeError::WrongDirection { .. })),
                    "{property:?} in {context:?}"
                ),
                (false, false) => assert_eq!(
                    verdict,
                    Err(DecodeError::MisplacedProperty(property.id())),
                    "{property:?} in {context:?}"
                ),
            }
        }
    }
    // The number of marks in the standard's table.
    assert_eq!(accepted, 64);
}

#[test]
fn what_may_not_repeat_is_refused_twice() {
    for property in all() {
        let twice = Properties::new().with(property).unwrap().with(property).unwrap();
        let context = *Context::ALL.iter().find(|c| allows(property, **c)).unwrap();
        let verdict = validate(twice.as_bytes(), context, u32::MAX).map(|_| ());
        if matches!(property.id(), PropertyId::UserProperty | PropertyId::SubscriptionIdentifier) {
            assert_eq!(verdict, Ok(()), "{property:?}");
        } else {
            assert_eq!(verdict, Err(DecodeError::RepeatedProperty(property.id())));
        }
    }
    let ids = Properties::new()
        .with(Property::SubscriptionIdentifier(1))
        .unwrap()
        .with(Property::SubscriptionIdentifier(2))
        .unwrap();
    assert!(
        validate(ids.as_bytes(), Context::Subscribe, u32::MAX).is_err(),
        "one subscription has one identifier"
    );
}

#[test]
fn forbidden_values_are_refused_both_ways() {
    for property in [
        Property::ReceiveMaximum(0),
        Property::TopicAlias(0),
        Property::MaximumPacketSize(0),
        Property::SubscriptionIdentifier(0),
        Property::ResponseTopic("a/#"),
        Property::ResponseTopic(""),
    ] {
        let error = DecodeError::PropertyValue(property.id());
        assert_eq!(Properties::new().with(property), Err(EncodeError::Property(error)));
    }
    assert!(Properties::new().with(Property::ContentType("a\0")).is_err());
    let long = String::from_utf8(alloc::vec![b'a'; 65_536]).unwrap();
    assert!(Properties::new().with(Property::ReasonString(&long)).is_err());
    for (bytes, error) in [
        (&[0x01, 2][..], DecodeError::PropertyValue(PropertyId::PayloadFormatIndicator)),
        (&[0x23, 0, 0], DecodeError::PropertyValue(PropertyId::TopicAlias)),
        (&[0x04], DecodeError::UnknownProperty(4)),
        (&[0x02, 0, 0], DecodeError::Truncated),
        (&[0x03, 0, 9, b'a'], DecodeError::Truncated),
    ] {
        assert_eq!(validate(bytes, Context::Publish, u32::MAX).map(|_| ()), Err(error));
    }
}

#[test]
fn a_set_of_more_properties_than_taken_is_refused() {
    let pair = Property::UserProperty("a", "b");
    let three = (0..3).fold(Properties::new(), |all, _| all.with(pair).unwrap());
    assert!(validate(three.as_bytes(), Context::Publish, 3).is_ok());
    let refused = Err(DecodeError::TooMany { what: "properties", max: 2 });
    assert_eq!(validate(three.as_bytes(), Context::Publish, 2).map(|_| ()), refused);
}

#[test]
fn values_are_read_alike_whether_the_whole_set_is_a_string_or_not() {
    let long = "x".repeat(600);
    for content_type in ["a", "\u{b0}C", &long] {
        // A number with a high byte is no UTF-8, neither alone nor among the others.
        for seconds in [1, 0xFFFF_FFFF] {
            let list = [Property::MessageExpiryInterval(seconds), Property::ContentType(content_type)];
            let properties = list.into_iter().fold(Properties::new(), |all, one| all.with(one).unwrap());
            assert_eq!(properties.as_ref().iter().collect::<Vec<_>>(), list);
            assert_eq!(properties.as_ref().content_type(), Some(content_type));
        }
    }
}
