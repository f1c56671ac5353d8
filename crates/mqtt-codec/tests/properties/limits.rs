//! Limits hold to the byte and to the entry.

use mqtt_codec::{Codec, DecodeError, Limits, Packet, Properties};
use proptest::prelude::*;

use crate::packets::{connect, subscribe, unsubscribe};
use crate::values::version;
use crate::{config, encoded, header_len, stream, verdict};

fn with(codec: &Codec, set: impl FnOnce(&mut Limits)) -> Codec {
    let mut limits = Limits::default();
    set(&mut limits);
    codec.clone().with_limits(limits)
}

fn count(properties: &Properties) -> usize {
    properties.as_ref().iter().count()
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_size_limits_hold_to_the_byte(stream in stream(), slack in 0u32..3) {
        let [sender, receiver] = stream.codecs();
        let packet = &stream.packets[0];
        let bytes = encoded(&sender, packet);
        let size = bytes.len() as u32;
        prop_assert_eq!(verdict(with(&receiver, |l| l.max_packet_size = size + slack), &bytes), Ok(true));
        let max = size - 1;
        let refused = Err(DecodeError::PacketTooLarge { size, max });
        prop_assert_eq!(verdict(with(&receiver, |l| l.max_packet_size = max), &bytes), refused);
        // Known from the fixed header on, before anything is buffered.
        let header_len = header_len(&bytes);
        let small = with(&receiver, |l| l.max_packet_size = max);
        prop_assert_eq!(verdict(small, &bytes[..header_len]), refused);
        let control = with(&receiver, |l| l.max_control_packet_size = max);
        let expected = if matches!(packet, Packet::Publish(_)) { Ok(true) } else { refused };
        prop_assert_eq!(verdict(control, &bytes), expected);
        let control = with(&receiver, |l| l.max_control_packet_size = size + slack);
        prop_assert_eq!(verdict(control, &bytes), Ok(true));
    }

    #[test]
    fn the_limits_on_filters_and_properties_hold(
        packet in version().prop_flat_map(|version| {
            let packets = prop_oneof![subscribe(version), unsubscribe(version), connect(version)];
            (Just(version), packets)
        }),
    ) {
        let (version, packet) = packet;
        let (filters, properties) = match &packet {
            Packet::Subscribe(packet) => (packet.filters().count(), count(&packet.properties)),
            Packet::Unsubscribe(packet) => (packet.filters().count(), count(&packet.properties)),
            Packet::Connect(packet) => {
                let will = packet.will().map_or(0, |will| count(&will.properties));
                (0, packet.properties().iter().count().max(will))
            }
            other => panic!("{other:?} was not asked for"),
        };
        let bytes = encoded(&Codec::client(version), &packet);
        let receiver = Codec::observer(version);
        for (name, count, set) in [
            ("filters", filters, (|l, max| l.max_filters = max) as fn(&mut Limits, u32)),
            ("properties", properties, |l, max| l.max_properties = max),
        ] {
            let count = count as u32;
            prop_assert_eq!(verdict(with(&receiver, |l| set(l, count)), &bytes), Ok(true));
            if count > 0 {
                let refused = DecodeError::TooMany { what: name, max: count - 1 };
                prop_assert_eq!(verdict(with(&receiver, |l| set(l, count - 1)), &bytes), Err(refused));
            }
        }
    }
}
